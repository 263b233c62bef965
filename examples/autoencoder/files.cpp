#include "files.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace {

void write_new(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw std::runtime_error("cannot write to " + path);
  }
}

}  // namespace

void replace_file(const std::string& path, std::string_view content) {
  write_new(path + ".new", content);
  std::filesystem::rename(path + ".new", path);
}

void prepare_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string probe = folder + "/.writable";
  write_new(probe, "");
  std::filesystem::remove(probe);
}
