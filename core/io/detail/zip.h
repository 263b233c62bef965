// Zip archives, as far as .npz files need them: stored and deflated members, without encryption, below 4 GiB.
// Source: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 6.3.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <dygrad/core/io/detail/byte_source.h>

namespace dygrad::io {

struct ZipMember {
  std::string name;
  bool is_deflated = false;
  std::uint32_t checksum = 0;
  std::uint64_t compressed_bytes = 0;
  std::uint64_t num_bytes = 0;  ///< once decompressed
  std::uint64_t begin = 0;      ///< of the data, in the file
};

/// The members in the order of the archive's directory. Throws IoError if the archive is damaged in any way: members
/// that leave the file or overlap, sizes that deflate cannot reach, repeated names, unknown methods.
std::vector<ZipMember> read_zip_directory(const InputFile& file);

/// The member's bytes, decompressed; `finish` verifies size and checksum.
std::unique_ptr<ByteSource> open_zip_member(const InputFile& file, const ZipMember& member);

/// Writes stored members one after the other. Times are constant, so that equal contents make equal files.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFileWriter& file) : file_(file) {}
  /// One member made of these pieces. Throws InvalidArgument if the archive would grow beyond what the format holds.
  void add(const std::string& name, std::span<const std::span<const std::byte>> pieces);
  /// Writes the directory. Call once, last.
  void finish();

 private:
  AtomicFileWriter& file_;
  std::string directory_;
  std::uint32_t count_ = 0;
};

}  // namespace dygrad::io
