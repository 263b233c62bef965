// The README quotes programs that the build compiles and the tests run, so that it cannot become untrue.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <dygrad/tests/support/catch.h>

using namespace dygrad::testing;

namespace {

/// A file, each line without its indentation and comment slashes.
std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string text;
  for (std::string line; std::getline(in, line);) {
    text += line.substr(std::min(line.find_first_not_of(" /"), line.size())) + "\n";
  }
  return text;
}

/// The blocks between ```cpp and ```.
std::vector<std::string> quotations(const std::string& markdown) {
  std::vector<std::string> result;
  std::istringstream lines(markdown);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "```cpp") {
      inside = true;
      result.emplace_back();
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      result.back() += line + "\n";
    }
  }
  return result;
}

}  // namespace

TEST_CASE("every program text in the README is quoted from a source file") {
  const std::filesystem::path root = DYGRAD_SOURCE_DIR;
  const auto quoted = quotations(text_of(root / "README.md"));
  REQUIRE(quoted.size() >= 3);
  const std::string sources = text_of(root / "examples/quick_start.cpp") + text_of(root / "layers/base/layer.h");
  for (const std::string& quotation : quoted) CHECK_THAT(sources, ContainsSubstring(quotation));
}
