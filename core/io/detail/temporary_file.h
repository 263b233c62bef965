// The file that a save writes before it takes the target's place.
#pragma once

#include <string>

#include <dygrad/core/io/detail/descriptor.h>
#include <dygrad/core/io/detail/save_target.h>

namespace dygrad::io {

// Note [Temporary files of saves]
// Where the file system can (O_TMPFILE), the file has no name while it is written, so nothing is left of a killed save;
// it gets a temporary name only to be renamed over the target at once, or is copied to one where that is not allowed.
// Elsewhere it has that name from the start. The name is short and made from the target's, so that the longest target
// works and so that the next save to the same target finds what a killed one left. A save holds a lock (flock) on its
// file for as long as it lives: a file with such a name and no lock belongs to nobody, and is removed.
class TemporaryFile {
 public:
  /// Removes what killed saves to this target left, then creates. Throws IoError.
  TemporaryFile(const FileContext& context, SaveTarget target);
  /// Removes the file unless it took the target's place.
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int descriptor() const { return file_.get(); }
  /// Flushes to the disk, then takes the target's place. Throws IoError.
  void replace_target(const FileContext& context);

 private:
  explicit TemporaryFile(SaveTarget target) : target_(std::move(target)) {}
  std::string name_of_slot(int slot) const;
  bool is_my_file(const std::string& name, int file) const;
  bool remove_if_dead(const std::string& name) const;
  void remove_leftovers() const;
  mode_t first_mode() const;
  bool create_without_name();
  void create_with_name(const FileContext& context);
  bool link_to_name();
  void copy_to_name(const FileContext& context);
  void flush(const FileContext& context) const;

  SaveTarget target_;
  Descriptor file_;
  std::string name_;  // empty while there is none
};

}  // namespace dygrad::io
