#include <dygrad/core/io/detail/temporary_file.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <cerrno>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

namespace {

// Several saves to one target may run at once: each takes the first name that is free.
constexpr int kUsualSlots = 16;
constexpr std::string_view kDiskFix = "make room on the disk, or save elsewhere";
constexpr mode_t kNewMode = 0666;      // as the umask allows
constexpr mode_t kPrivateMode = 0600;  // until the old file's permissions are known to hold

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

bool lock(int file) { return ::flock(file, LOCK_EX | LOCK_NB) == 0; }

[[noreturn]] void fail_creation(const FileContext& context, int error) {
  fail_system(context, "cannot create a file here.", error, "name a file in a folder that exists and may be written");
}

}  // namespace

// Delegates, so that the destructor cleans up also if this one throws.
TemporaryFile::TemporaryFile(const FileContext& context, SaveTarget target) : TemporaryFile(std::move(target)) {
  remove_leftovers();
  if (!create_without_name()) create_with_name(context);
  if (target_.replaces) keep_ownership(file_.get(), target_);
}

TemporaryFile::~TemporaryFile() {
  if (!name_.empty()) ::unlinkat(target_.folder.get(), name_.c_str(), 0);
}

std::string TemporaryFile::name_of_slot(int slot) const {
  return fmt::format(".dygrad-{:016x}-{}.tmp", fnv1a(target_.name), slot);
}

bool TemporaryFile::is_my_file(const std::string& name, int file) const {
  struct stat by_name {
  }, by_number{};
  return ::fstatat(target_.folder.get(), name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstat(file, &by_number) == 0 && by_name.st_dev == by_number.st_dev && by_name.st_ino == by_number.st_ino;
}

/// False if there was nothing of this name.
bool TemporaryFile::remove_if_dead(const std::string& name) const {
  const int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const Descriptor found(::openat(target_.folder.get(), name.c_str(), flags));
  if (!found) return errno != ENOENT;
  struct stat facts {};
  const bool regular = ::fstat(found.get(), &facts) == 0 && S_ISREG(facts.st_mode);
  // Whoever has the lock may remove it; the name is looked at again, since it may have gone before the lock came.
  if (regular && lock(found.get()) && is_my_file(name, found.get())) ::unlinkat(target_.folder.get(), name.c_str(), 0);
  return true;
}

void TemporaryFile::remove_leftovers() const {
  bool found = false;
  for (int slot = 0; slot < kUsualSlots || found; ++slot) found = remove_if_dead(name_of_slot(slot));
}

mode_t TemporaryFile::first_mode() const { return target_.replaces ? kPrivateMode : kNewMode; }

bool TemporaryFile::create_without_name() {
  Descriptor file(::openat(target_.folder.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, first_mode()));
  if (!file) return false;
  // It gets its name through /proc later.
  if (::access(fmt::format("/proc/self/fd/{}", file.get()).c_str(), F_OK) != 0) return false;
  (void)lock(file.get());
  file_ = std::move(file);
  return true;
}

void TemporaryFile::create_with_name(const FileContext& context) {
  for (int slot = 0;; ++slot) {
    std::string name = name_of_slot(slot);
    const int flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    Descriptor file(::openat(target_.folder.get(), name.c_str(), flags, first_mode()));
    if (!file && errno != EEXIST) fail_creation(context, errno);
    if (!file) continue;
    // Before it had its lock, another save may have taken it for a dead one's. File systems without locks keep it.
    const bool locked = lock(file.get()) || errno != EWOULDBLOCK;
    if (!locked || !is_my_file(name, file.get())) continue;
    file_ = std::move(file);
    name_ = std::move(name);
    return;
  }
}

/// False where the system does not let it have one.
bool TemporaryFile::link_to_name() {
  const std::string file = fmt::format("/proc/self/fd/{}", file_.get());
  for (int slot = 0;; ++slot) {
    std::string name = name_of_slot(slot);
    if (::linkat(AT_FDCWD, file.c_str(), target_.folder.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      name_.swap(name);
      return true;
    }
    if (errno != EEXIST) return false;
  }
}

void TemporaryFile::copy_to_name(const FileContext& context) {
  const Descriptor content = std::move(file_);
  create_with_name(context);
  if (target_.replaces) keep_ownership(file_.get(), target_);
  constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;
  off_t position = 0;
  for (ssize_t count = 1; count != 0;) {
    count = ::sendfile(file_.get(), content.get(), &position, kLargestTransfer);
    if (count < 0 && errno != EINTR) fail_system(context, "cannot write.", errno, kDiskFix);
  }
}

void TemporaryFile::flush(const FileContext& context) const {
  if (::fsync(file_.get()) != 0) fail_system(context, "cannot flush to the disk.", errno, kDiskFix);
}

void TemporaryFile::replace_target(const FileContext& context) {
  flush(context);
  if (name_.empty() && !link_to_name()) {
    copy_to_name(context);
    flush(context);
  }
  const int folder = target_.folder.get();
  if (::renameat(folder, name_.c_str(), folder, target_.name.c_str()) != 0)
    fail_system(context, "cannot move the finished file into place.", errno, kDiskFix);
  name_.clear();
  // The new name survives a power cut only once the folder is on the disk as well. Some file systems cannot do that.
  const Descriptor readable(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable) (void)::fsync(readable.get());
}

}  // namespace dygrad::io
