// Files that are replaced as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

/// Writes beside `path`, then renames, so that neither an error nor Ctrl-C leaves half a file.
/// Throws std::runtime_error naming the path.
void replace_file(const std::string& path, std::string_view content);

/// Throws std::runtime_error unless files can be made in this folder, which is made first if it is missing.
void prepare_folder(const std::string& folder);
