// Which call works on which file: for the error messages of this folder.
#pragma once

#include <string>

#include <dygrad/core/base/export.h>

namespace dygrad::io {

struct FileContext {
  std::string op;
  std::string path;
  std::string member = {};  ///< of an archive; empty for a file that holds one thing
  std::string remedy = {};  ///< the fix that messages about malformed contents end in
};

/// Throws IoError if the path is empty or contains a zero byte, where the system would take it to end.
DYGRAD_API void check_path(const FileContext& context);

}  // namespace dygrad::io
