#include <dygrad/core/io/detail/save_target.h>

#include <fcntl.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

namespace {

constexpr int kMaxLinks = 40;  // as the kernel follows
constexpr std::string_view kFolderFix = "name a file in a folder that exists and may be written";

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void check_regular(const FileContext& context, const struct stat& facts) {
  if (S_ISREG(facts.st_mode)) return;
  throw IoError(about(context, "cannot write: the path names something that is not a regular file.")
                    .expected("a regular file, or nothing yet")
                    .got("{}", kind_of(facts.st_mode))
                    .fix("save to a file, and copy that into a pipe or device"));
}

void check_writable(const FileContext& context, const SaveTarget& target) {
  constexpr mode_t kAnyWrite = S_IWUSR | S_IWGRP | S_IWOTH;
  constexpr std::string_view kFix = "save under another name, or make the file writable (chmod u+w)";
  if ((target.old.st_mode & kAnyWrite) == 0) {
    throw IoError(about(context, "cannot write: the file there is read-only.")
                      .expected("permission to write")
                      .got("mode {:04o}", target.old.st_mode & 07777U)
                      .fix("{}", kFix));
  }
  if (::faccessat(target.folder.get(), target.name.c_str(), W_OK, AT_EACCESS) != 0)
    fail_system(context, "cannot write: this process may not change the file there.", errno, kFix);
}

std::string read_link(const FileContext& context, const SaveTarget& link) {
  std::array<char, 4096> text;  // PATH_MAX
  const ssize_t length = ::readlinkat(link.folder.get(), link.name.c_str(), text.data(), text.size());
  if (length <= 0) fail_system(context, "cannot follow a symbolic link.", errno, kFolderFix);
  return {text.data(), static_cast<std::size_t>(length)};
}

/// Opens the folder of `path`, which is relative to the target's folder so far, and takes the name in it.
void step_to(const FileContext& context, SaveTarget& target, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int from = target.folder ? target.folder.get() : AT_FDCWD;
  Descriptor opened(::openat(from, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened) fail_system(context, "cannot create a file here.", errno, kFolderFix);
  target.folder = std::move(opened);
  target.name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (target.name.empty())
    fail_system(context, "cannot write: the path ends in a slash, as that of a folder.", EISDIR, kFolderFix);
}

}  // namespace

SaveTarget find_save_target(const FileContext& context) {
  check_path(context);
  struct stat end {};  // asked of the kernel first, which knows where links may be followed
  const bool exists = ::stat(context.path.c_str(), &end) == 0;
  if (!exists && errno != ENOENT) fail_system(context, "cannot create a file here.", errno, kFolderFix);
  if (exists) check_regular(context, end);

  SaveTarget target;
  std::string path = context.path;
  for (int links = 0;; ++links) {
    step_to(context, target, path);
    const bool found = ::fstatat(target.folder.get(), target.name.c_str(), &target.old, AT_SYMLINK_NOFOLLOW) == 0;
    if (!found && errno != ENOENT) fail_system(context, "cannot create a file here.", errno, kFolderFix);
    target.replaces = found;
    if (!found || !S_ISLNK(target.old.st_mode)) break;
    if (links == kMaxLinks) fail_system(context, "cannot follow a symbolic link.", ELOOP, kFolderFix);
    path = read_link(context, target);
  }
  if (exists && !target.replaces && ::stat(context.path.c_str(), &end) == 0) {  // so for /dev/stdout of a deleted file
    throw IoError(about(context, "cannot write: the open file behind this path has no name of its own any more.")
                      .fix("{}", kFolderFix));
  }
  if (target.replaces) {
    check_regular(context, target.old);
    check_writable(context, target);
  }
  return target;
}

void keep_ownership(int file, const SaveTarget& target) {
  mode_t mode = target.old.st_mode & 07777U;
  const uid_t owner = target.old.st_uid;
  const gid_t group = target.old.st_gid;
  struct stat now {};
  if (::fstat(file, &now) != 0) return;
  const bool same = now.st_uid == owner && now.st_gid == group;
  if (!same && ::fchown(file, owner, group) != 0) {
    mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);  // they would lend the rights of somebody else
    const bool has_group = now.st_gid == group || ::fchown(file, static_cast<uid_t>(-1), group) == 0;
    if (!has_group) mode = (mode & ~static_cast<mode_t>(S_IRWXG)) | (mode & (mode & S_IRWXO) << 3 & S_IRWXG);
  }
  (void)!::fchmod(file, mode);
  // Where there is an access control list, the mode's group bits are only its mask.
  constexpr const char* kList = "system.posix_acl_access";
  std::array<char, 8192> list;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", target.folder.get(), target.name);
  const ssize_t length = ::getxattr(path.c_str(), kList, list.data(), list.size());
  if (length > 0) (void)!::fsetxattr(file, kList, list.data(), static_cast<std::size_t>(length), 0);
}

}  // namespace dygrad::io
