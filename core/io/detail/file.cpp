#include <dygrad/core/io/detail/file.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <dygrad/core/io/detail/descriptor.h>
#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/io/detail/temporary_file.h>

namespace dygrad::io {

namespace {

constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;  // Linux moves less than 2 GiB per call
constexpr std::string_view kReadFix = "name a file that exists and may be read";

void check_readable(const FileContext& context, const struct stat& facts) {
  if (S_ISREG(facts.st_mode)) return;
  throw IoError(about(context, "cannot read: not a regular file.")
                    .expected("a regular file")
                    .got("a directory, pipe or device")
                    .fix("name a file; copy what comes from a pipe or device into one"));
}

}  // namespace

AtomicFileWriter::AtomicFileWriter(FileContext context)
    : context_(std::move(context)), file_(std::make_unique<TemporaryFile>(context_, find_save_target(context_))) {}

AtomicFileWriter::~AtomicFileWriter() = default;

void AtomicFileWriter::write(std::span<const std::byte> bytes) {
  num_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_->descriptor(), bytes.data(), std::min(bytes.size(), kLargestTransfer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system(context_, "cannot write.", errno, "make room on the disk, or save elsewhere");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFileWriter::commit() { file_->replace_target(context_); }

InputFile::InputFile(FileContext context) : context_(std::move(context)) {
  check_path(context_);
  if (context_.remedy.empty()) context_.remedy = "write the file again; it is cut off, or of another kind";
  // Looked at before it is opened, since opening alone can have effects on a pipe or a device.
  struct stat facts {};
  if (::stat(context_.path.c_str(), &facts) != 0) fail_system(context_, "cannot open.", errno, kReadFix);
  check_readable(context_, facts);
  Descriptor file(::open(context_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file || ::fstat(file.get(), &facts) != 0) fail_system(context_, "cannot open.", errno, kReadFix);
  check_readable(context_, facts);
  num_bytes_ = static_cast<std::uint64_t>(facts.st_size);
  descriptor_ = file.release();
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(std::uint64_t position, std::span<std::byte> bytes) const {
  if (position > num_bytes_ || bytes.size() > num_bytes_ - position) {
    fail(context_, "the file ends early: {} bytes are wanted at {}, it has {}.", bytes.size(), position, num_bytes_);
  }
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(descriptor_, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system(context_, "cannot read.", errno, kReadFix);
    if (count == 0) fail(context_, "the file became shorter while it was read.");
    position += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::vector<std::byte> read_file(const FileContext& context, std::uint64_t limit) {
  const InputFile file(context);
  if (file.num_bytes() > limit)
    fail(context, "the file is too large: {} bytes, at most {} are allowed.", file.num_bytes(), limit);
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.num_bytes()));
  file.read_at(0, bytes);
  return bytes;
}

}  // namespace dygrad::io
