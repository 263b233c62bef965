// Files read and written with care: writing replaces a file as a whole or not at all; reading never trusts a size.
// Used by the formats of this folder and by everything else that saves state. Errors are IoError, naming path and
// reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <dygrad/core/base/export.h>
#include <dygrad/core/io/detail/file_context.h>

namespace dygrad::io {

class TemporaryFile;

/// Writes a file beside its final place and moves it there in `commit`, so that a crash, a full disk or an exception at
/// any moment leaves the old file whole. Without `commit` nothing remains of what was written; what a killed process
/// left is removed by the next save to the same path.
///
/// Symbolic links are written through, also one whose file does not exist yet. A file that is replaced keeps its
/// permissions, and its owner and group where this process may give them; other hard links to it keep the old contents.
class DYGRAD_API AtomicFileWriter {
 public:
  /// Throws IoError if the folder is missing or not writable, if `path` names something other than a regular file
  /// (a directory, a pipe, a device), or if the file there is read-only: for this process, or, the superuser included,
  /// because its permissions let nobody write.
  explicit AtomicFileWriter(FileContext context);
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  std::uint64_t num_bytes() const { return num_bytes_; }
  const FileContext& context() const { return context_; }

  /// Flushes to the disk, then replaces `path`. Call once, last.
  void commit();

 private:
  FileContext context_;
  std::unique_ptr<TemporaryFile> file_;
  std::uint64_t num_bytes_ = 0;
};

/// A regular file opened for reading. Its size is taken once; a file that shrinks meanwhile is an IoError.
class DYGRAD_API InputFile {
 public:
  explicit InputFile(FileContext context);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::uint64_t num_bytes() const { return num_bytes_; }
  const FileContext& context() const { return context_; }
  /// Fills all of `bytes` from this position, or throws.
  void read_at(std::uint64_t position, std::span<std::byte> bytes) const;

 private:
  FileContext context_;
  int descriptor_ = -1;
  std::uint64_t num_bytes_ = 0;
};

/// The whole file. Throws IoError if it is larger than `limit` bytes.
DYGRAD_API std::vector<std::byte> read_file(const FileContext& context, std::uint64_t limit);

}  // namespace dygrad::io
