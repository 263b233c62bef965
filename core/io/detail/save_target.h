// Where a save goes: symbolic links are followed to their end, and what may not be replaced is refused.
#pragma once

#include <sys/stat.h>

#include <string>

#include <dygrad/core/io/detail/descriptor.h>
#include <dygrad/core/io/detail/file_context.h>

namespace dygrad::io {

/// A name in an open folder: later steps hold no path that could lead elsewhere meanwhile, or be too long.
struct SaveTarget {
  Descriptor folder;
  std::string name;
  bool replaces = false;  ///< there is such a file
  struct stat old {};     ///< of the file that is replaced
};

/// The file that `place.path` leads to, which need not exist: a link that leads nowhere yet is written through.
/// Throws IoError if the folder is missing or cannot be searched, if the path names anything but a regular file, or if
/// that file may not be written: by its permissions for this process, or for anybody (mode without any w), which binds
/// the superuser too.
SaveTarget find_save_target(const FileContext& context);

/// Gives `file` the owner, permissions and access control list of the file that it will replace, as far as this process
/// may. Where it may not keep the group, the group gets no more than everybody.
void keep_ownership(int file, const SaveTarget& target);

}  // namespace dygrad::io
