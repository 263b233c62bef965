#include <dygrad/core/io/detail/zip.h>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::uint64_t kLargestComment = 65535;
constexpr std::uint64_t kLargestDirectory = 1 << 26;  // bytes; 64 Ki members of a thousand bytes each
constexpr std::uint64_t kZip64Mark = 0xFFFFFFFF;
constexpr std::uint32_t kVersion = 20;
constexpr std::uint32_t kUtf8Flag = 1 << 11;
constexpr std::uint32_t kEncryptedFlag = 1;
constexpr std::uint32_t kDate = 1 << 5 | 1;  // the first of January 1980, the earliest there is

/// Little-endian numbers out of bytes; the caller has checked the length.
struct Fields {
  std::span<const std::byte> bytes;
  std::uint32_t u16(std::size_t at) const {
    return std::to_integer<std::uint32_t>(bytes[at]) | std::to_integer<std::uint32_t>(bytes[at + 1]) << 8;
  }
  std::uint32_t u32(std::size_t at) const { return u16(at) | u16(at + 2) << 16; }
  std::uint64_t u64(std::size_t at) const { return u32(at) | std::uint64_t{u32(at + 4)} << 32; }
  std::string text(std::size_t at, std::size_t length) const {
    return {reinterpret_cast<const char*>(bytes.data()) + at, length};
  }
};

void put16(std::string& out, std::uint32_t value) {
  out += static_cast<char>(value & 0xFFU);
  out += static_cast<char>(value >> 8 & 0xFFU);
}
void put32(std::string& out, std::uint32_t value) {
  put16(out, value & 0xFFFFU);
  put16(out, value >> 16);
}

std::vector<std::byte> read_part(const InputFile& file, std::uint64_t begin, std::uint64_t num_bytes) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(num_bytes));
  file.read_at(begin, bytes);
  return bytes;
}

struct Directory {
  std::uint64_t begin, num_bytes, count;
};

/// The record at the end of the archive, behind which only a comment may follow.
Directory find_directory(const InputFile& file) {
  const std::uint64_t tail_bytes = std::min(file.num_bytes(), kLargestComment + kEndBytes);
  const std::uint64_t tail_begin = file.num_bytes() - tail_bytes;
  const std::vector<std::byte> tail = read_part(file, tail_begin, tail_bytes);
  const Fields fields{tail};
  for (std::size_t at = tail.size() < kEndBytes ? 0 : tail.size() - kEndBytes + 1; at-- > 0;) {
    if (fields.u32(at) != kEndSignature || at + kEndBytes + fields.u16(at + 20) != tail.size()) continue;
    const Directory directory{
        .begin = fields.u32(at + 16), .num_bytes = fields.u32(at + 12), .count = fields.u16(at + 10)};
    if (fields.u16(at + 4) != 0 || fields.u16(at + 6) != 0)
      fail(file.context(), "archives of several parts are not supported.");
    if (directory.begin == kZip64Mark || directory.num_bytes == kZip64Mark || directory.count == 0xFFFF) {
      fail(file.context(), "archives of more than 4 GiB or 65534 members are not supported.");
    }
    if (directory.num_bytes > kLargestDirectory || directory.begin + directory.num_bytes != tail_begin + at) {
      fail(file.context(), "the archive's directory does not end where its end record begins.");
    }
    return directory;
  }
  fail(file.context(), "this is no .npz file: the record that ends an archive is missing.");
}

/// Reads one directory record; `position` moves behind it. `begin` of the member is that of its local header.
ZipMember read_record(const FileContext& context, std::span<const std::byte> directory, std::size_t& position) {
  const Fields record{directory.subspan(position)};
  if (record.bytes.size() < kCentralBytes || record.u32(0) != kCentralSignature)
    fail(context, "the archive's directory is damaged.");
  const std::size_t name_bytes = record.u16(28);
  const std::size_t all = kCentralBytes + name_bytes + record.u16(30) + record.u16(32);
  if (record.bytes.size() < all) fail(context, "the archive's directory is damaged.");
  position += all;
  ZipMember member{.name = record.text(kCentralBytes, name_bytes),
                   .is_deflated = record.u16(10) == 8,
                   .checksum = record.u32(16),
                   .compressed_bytes = record.u32(20),
                   .num_bytes = record.u32(24),
                   .begin = record.u32(42)};
  if ((record.u16(8) & kEncryptedFlag) != 0) fail(context, "member {} is encrypted.", in_quotes(member.name));
  if (record.u16(10) != 0 && !member.is_deflated) {
    fail(context, "member {} is compressed by method {}; stored and deflate are supported.", in_quotes(member.name),
         record.u16(10));
  }
  if (member.compressed_bytes == kZip64Mark || member.num_bytes == kZip64Mark || member.begin == kZip64Mark) {
    fail(context, "member {} takes more than 4 GiB, which is not supported.", in_quotes(member.name));
  }
  const std::uint64_t most = member.is_deflated ? member.compressed_bytes * kLargestExpansion : member.compressed_bytes;
  if (member.num_bytes > most || (!member.is_deflated && member.num_bytes != most)) {
    fail(context, "member {} cannot hold {} bytes in {}.", in_quotes(member.name), member.num_bytes,
         member.compressed_bytes);
  }
  return member;
}

/// Moves `begin` from the local header to the data behind it. Returns where the local header began.
std::uint64_t skip_local_header(const InputFile& file, ZipMember& member, std::uint64_t end_of_members) {
  const std::uint64_t start = member.begin;
  if (start + kLocalBytes > end_of_members)
    fail(file.context(), "member {} lies outside of the archive.", in_quotes(member.name));
  std::array<std::byte, kLocalBytes> bytes;
  file.read_at(start, bytes);
  const Fields local{bytes};
  if (local.u32(0) != kLocalSignature) fail(file.context(), "member {} has no header.", in_quotes(member.name));
  member.begin = start + kLocalBytes + local.u16(26) + local.u16(28);
  if (member.begin + member.compressed_bytes > end_of_members) {
    fail(file.context(), "member {} lies outside of the archive.", in_quotes(member.name));
  }
  const auto name = read_part(file, start + kLocalBytes, local.u16(26));
  if (Fields{name}.text(0, name.size()) != member.name)
    fail(file.context(), "member {} has another name in its header.", in_quotes(member.name));
  return start;
}

/// Counts and checks what passes through.
class CheckedSource final : public ByteSource {
 public:
  CheckedSource(std::unique_ptr<ByteSource> inner, const ZipMember& member)
      : ByteSource(inner->context()), inner_(std::move(inner)), wanted_(member.checksum), left_(member.num_bytes) {}
  void read(std::span<std::byte> bytes) override {
    if (bytes.size() > left_) fail(context(), "the array's data end early.");
    inner_->read(bytes);
    left_ -= bytes.size();
    checksum_ = crc32_z(checksum_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  std::uint64_t most_left() const override { return left_; }
  void finish() override {
    if (left_ > 0) fail(context(), "{} bytes follow the array's data.", left_);
    inner_->finish();
    if (checksum_ != wanted_) fail(context(), "the array is damaged: its checksum does not fit.");
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::uint32_t wanted_;
  std::uint64_t left_;
  uLong checksum_ = 0;
};

}  // namespace

std::vector<ZipMember> read_zip_directory(const InputFile& file) {
  const Directory directory = find_directory(file);
  const std::vector<std::byte> bytes = read_part(file, directory.begin, directory.num_bytes);
  std::vector<ZipMember> members;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;  // of header and data, in the file
  std::set<std::string> names;                                   // a hash table could be filled with names that collide
  std::size_t position = 0;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    ZipMember member = read_record(file.context(), bytes, position);
    if (!names.insert(member.name).second) fail(file.context(), "the member {} is repeated.", in_quotes(member.name));
    const std::uint64_t start = skip_local_header(file, member, directory.begin);
    extents.emplace_back(start, member.begin + member.compressed_bytes);
    members.push_back(std::move(member));
  }
  if (position != bytes.size())
    fail(file.context(), "the archive's directory has more than its {} members.", directory.count);
  // Members that share bytes would let a small file claim any amount of memory.
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) fail(file.context(), "members of the archive overlap.");
  }
  return members;
}

std::unique_ptr<ByteSource> open_zip_member(const InputFile& file, const ZipMember& member) {
  FileContext context = file.context();
  context.member = member.name;
  std::unique_ptr<ByteSource> bytes =
      std::make_unique<FileSource>(file, std::move(context), member.begin, member.compressed_bytes);
  if (member.is_deflated) bytes = inflate(std::move(bytes), Compression::deflate);
  return std::make_unique<CheckedSource>(std::move(bytes), member);
}

void ZipWriter::add(const std::string& name, std::span<const std::span<const std::byte>> pieces) {
  const std::uint64_t begin = file_.num_bytes();
  std::uint64_t num_bytes = 0;
  uLong checksum = 0;
  for (const std::span<const std::byte> piece : pieces) {
    num_bytes += piece.size();
    checksum = crc32_z(checksum, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
  }
  // A margin below the 32-bit limits leaves room for the directory.
  constexpr std::uint64_t kLimit = kZip64Mark - kLargestDirectory;
  if (begin + num_bytes > kLimit || name.size() > 65535 || count_ == 65534 ||
      directory_.size() > kLargestDirectory - 2 * 65536) {
    FileContext context = file_.context();
    context.member = name;
    throw InvalidArgument(
        about(context, "the file would become larger than its format allows.")
            .expected("at most {} bytes, 65534 arrays, names of 65535 bytes", kLimit)
            .got("{} bytes, {} arrays, a name of {} bytes", begin + num_bytes, count_ + 1, name.size())
            .fix("save as safetensors"));
  }
  // The part that the member's own header and its directory record have in common.
  std::string common;
  put16(common, kVersion);
  put16(common, kUtf8Flag);
  put16(common, 0);  // stored
  put16(common, 0);  // midnight
  put16(common, kDate);
  put32(common, static_cast<std::uint32_t>(checksum));
  put32(common, static_cast<std::uint32_t>(num_bytes));
  put32(common, static_cast<std::uint32_t>(num_bytes));
  put16(common, static_cast<std::uint32_t>(name.size()));
  put16(common, 0);  // no extra fields

  std::string local;
  put32(local, kLocalSignature);
  file_.write(local + common + name);
  for (const std::span<const std::byte> piece : pieces) file_.write(piece);

  put32(directory_, kCentralSignature);
  put16(directory_, kVersion);
  directory_ += common;
  directory_.append(10, '\0');  // comment, disk and attributes
  put32(directory_, static_cast<std::uint32_t>(begin));
  directory_ += name;
  ++count_;
}

void ZipWriter::finish() {
  const std::uint64_t begin = file_.num_bytes();
  std::string end;
  put32(end, kEndSignature);
  put32(end, 0);  // one disk
  put16(end, count_);
  put16(end, count_);
  put32(end, static_cast<std::uint32_t>(directory_.size()));
  put32(end, static_cast<std::uint32_t>(begin));
  put16(end, 0);  // no comment
  file_.write(directory_);
  file_.write(end);
}

}  // namespace dygrad::io
