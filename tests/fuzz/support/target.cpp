#include "target.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

namespace dygrad::fuzz {

namespace {

struct Scratch {
  std::string folder;
  Scratch() {
    std::error_code ignored;
    const bool in_memory = std::filesystem::is_directory("/dev/shm", ignored);
    folder =
        (in_memory ? std::string("/dev/shm") : std::filesystem::temp_directory_path().string()) + "/dygrad-fuzz-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr, "cannot make a folder for files");
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

}  // namespace

MemoryFile::MemoryFile(const std::uint8_t* data, std::size_t num_bytes) : number_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  require(number_ >= 0, "cannot make a file in memory");
  while (num_bytes > 0) {
    const ssize_t count = ::write(number_, data, num_bytes);
    require(count > 0, "cannot write a file in memory");
    data += count;
    num_bytes -= static_cast<std::size_t>(count);
  }
  path_ = "/proc/self/fd/" + std::to_string(number_);
}

MemoryFile::~MemoryFile() { ::close(number_); }

std::string scratch_file(const std::string& name) {
  static const Scratch scratch;
  return scratch.folder + "/" + name;
}

}  // namespace dygrad::fuzz
