// Bytes in order, from a part of a file as it is or decompressed. Decoders read from here and never see more than was
// promised, so a hostile size is noticed before memory is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <dygrad/core/io/detail/file.h>

namespace dygrad::io {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills all of `bytes`, or throws IoError.
  virtual void read(std::span<std::byte> bytes) = 0;
  /// At most this many bytes are still to come.
  virtual std::uint64_t most_left() const = 0;
  /// Throws IoError if anything is left unread, or a checksum does not fit.
  virtual void finish() = 0;
  const FileContext& context() const { return context_; }

 protected:
  explicit ByteSource(FileContext context) : context_(std::move(context)) {}

 private:
  FileContext context_;
};

/// `num_bytes` bytes of the file from `begin`.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(const InputFile& file) : FileSource(file, 0, file.num_bytes()) {}
  FileSource(const InputFile& file, std::uint64_t begin, std::uint64_t num_bytes)
      : FileSource(file, file.context(), begin, num_bytes) {}
  FileSource(const InputFile& file, FileContext context, std::uint64_t begin, std::uint64_t num_bytes)
      : ByteSource(std::move(context)), file_(file), position_(begin), end_(begin + num_bytes) {}
  void read(std::span<std::byte> bytes) override;
  std::uint64_t most_left() const override { return end_ - position_; }
  void finish() override;

 private:
  const InputFile& file_;
  std::uint64_t position_;
  std::uint64_t end_;
};

/// No deflate stream grows by more than this factor.
inline constexpr std::uint64_t kLargestExpansion = 1032;

enum class Compression : std::uint8_t { deflate, gzip };

/// Decompresses what `compressed` gives. Several gzip members in a row count as one stream.
std::unique_ptr<ByteSource> inflate(std::unique_ptr<ByteSource> compressed, Compression format);

}  // namespace dygrad::io
