// Files that are replaced as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

/// Neither an error nor Ctrl-C leaves half a file. Throws dygrad::IoError naming the path.
void replace_file(const std::string& path, std::string_view content);

/// Throws dygrad::IoError unless files can be made in this folder, which is made first if it is missing.
void prepare_folder(const std::string& folder);
