// Gives a fuzz target each file named on the command line, and those in the folders named there: what libFuzzer's own
// main does too, for builds without it.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "support/target.h"

namespace {

std::size_t replay(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) count += replay(entry.path());
    return count;
  }
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::cout << path.filename().string() << std::endl;  // the last one is the faulty one
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) count += replay(argv[i]);
  std::cout << count << " inputs\n";
  return count > 0 ? 0 : 1;
}
