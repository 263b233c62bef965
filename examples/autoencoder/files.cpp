#include "files.h"

#include <dygrad/core/io/detail/file.h>

#include <filesystem>
#include <system_error>

using dygrad::io::AtomicFileWriter;

void replace_file(const std::string& path, std::string_view content) {
  AtomicFileWriter file({"autoencoder", path});
  file.write(content);
  file.commit();
}

void prepare_folder(const std::string& folder) {
  std::error_code ignored;  // what matters is whether the file can be begun
  std::filesystem::create_directories(folder, ignored);
  const AtomicFileWriter dropped({"autoencoder", folder + "/probe"});
}
