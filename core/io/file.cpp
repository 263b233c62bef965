#include <dygrad/core/io/file.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <dygrad/core/io/fail.h>

namespace dygrad::io {

namespace {

[[noreturn]] void fail_system(const Place& place, std::string_view problem, int error) {
  throw IoError(Message(place.op, problem)
                    .line("file {}", place.path)
                    .line("reason: {}", std::generic_category().message(error)));
}

/// The file that a symbolic link leads to; `path` itself for anything else.
std::string resolve_link(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_symlink(path, ignored)) return path;
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(path, ignored);
  return ignored ? path : resolved.string();
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;  // Linux moves less than 2 GiB per call

}  // namespace

AtomicFileWriter::AtomicFileWriter(Place place) : place_(std::move(place)), target_(resolve_link(place_.path)) {
  if (target_.empty()) fail(place_, "cannot write: the path is empty.");
  struct stat old {};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode))
    fail(place_, "cannot write: the path names something that is not a regular file.");
  static std::atomic<unsigned> serial{0};
  for (;;) {
    temporary_ = fmt::format("{}.{}-{}.tmp", target_, ::getpid(), serial.fetch_add(1));
    descriptor_ = ::open(temporary_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) break;
    if (errno != EEXIST) fail_system(place_, "cannot create a file here.", errno);
  }
  if (exists) (void)!::fchmod(descriptor_, old.st_mode & 07777);  // keep permissions where we may
}

AtomicFileWriter::~AtomicFileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFileWriter::write(std::span<const std::byte> bytes) {
  num_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestTransfer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system(place_, "cannot write.", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFileWriter::commit() {
  if (::fsync(descriptor_) != 0) fail_system(place_, "cannot flush to the disk.", errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_system(place_, "cannot close.", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0)
    fail_system(place_, "cannot move the finished file into place.", errno);
  temporary_.clear();
  // The new name survives a power cut only once the directory is on the disk as well. Some file systems cannot do that.
  const int directory = ::open(directory_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  (void)::fsync(directory);
  ::close(directory);
}

InputFile::InputFile(Place place) : place_(std::move(place)) {
  // Non-blocking, so that a pipe without a writer is refused below and does not hang.
  descriptor_ = ::open(place_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail_system(place_, "cannot open.", errno);
  struct stat facts {};
  const bool known = ::fstat(descriptor_, &facts) == 0;
  if (!known || !S_ISREG(facts.st_mode)) {
    ::close(descriptor_);
    fail(place_, "cannot read: not a regular file.");
  }
  num_bytes_ = static_cast<std::uint64_t>(facts.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(std::uint64_t position, std::span<std::byte> bytes) const {
  if (position > num_bytes_ || bytes.size() > num_bytes_ - position) {
    fail(place_, "the file ends early: {} bytes are wanted at {}, it has {}.", bytes.size(), position, num_bytes_);
  }
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(descriptor_, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system(place_, "cannot read.", errno);
    if (count == 0) fail(place_, "the file became shorter while it was read.");
    position += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::vector<std::byte> read_file(const Place& place, std::uint64_t limit) {
  const InputFile file(place);
  if (file.num_bytes() > limit)
    fail(place, "the file is too large: {} bytes, at most {} are allowed.", file.num_bytes(), limit);
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.num_bytes()));
  file.read_at(0, bytes);
  return bytes;
}

}  // namespace dygrad::io
