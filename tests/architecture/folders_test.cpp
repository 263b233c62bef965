// Each subfolder says in a short README what it is for, what it may include and where to start, and names files that
// exist.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <dygrad/tests/architecture/include_graph.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad::testing;

namespace {

constexpr std::ptrdiff_t kMaxLines = 12;
constexpr std::size_t kMaxSources = 23;  // "about 20"

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_source(const std::filesystem::path& path) { return path.extension() == ".cpp" || path.extension() == ".h"; }

/// The library's folders that hold sources, but for the private half of a subfolder.
std::set<std::filesystem::path> subfolders() {
  const std::filesystem::path root = DYGRAD_SOURCE_DIR;
  std::set<std::filesystem::path> result;
  for (const char* folder : {"core", "autograd", "layers", "backends"}) {
    result.insert(root / folder);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::filesystem::path subfolder = entry.path().parent_path();
      if (is_source(entry.path()) && subfolder.filename() != "detail") result.insert(subfolder);
    }
  }
  return result;
}

/// The headers and sources that a README names between backticks.
std::vector<std::string> named_files(const std::string& markdown) {
  static const std::regex name(R"(`([\w/.]+\.(?:h|cpp))`)");
  std::vector<std::string> names;
  for (std::sregex_iterator it(markdown.begin(), markdown.end(), name), end; it != end; ++it) names.push_back((*it)[1]);
  return names;
}

}  // namespace

TEST_CASE("each subfolder has a short README that says what it may include and where to start") {
  for (const std::filesystem::path& subfolder : subfolders()) {
    const std::string path = subfolder.string();
    // Subfolders of ops, and of one backend beside native, are described in the folder above.
    if (path.find("autograd/ops/") != std::string::npos || path.find("backends/gemm") != std::string::npos ||
        path.find("backends/onednn") != std::string::npos || path.find("backends/reference") != std::string::npos)
      continue;
    const std::string text = text_of(subfolder / "README.md");
    INFO(path);
    CHECK(std::count(text.begin(), text.end(), '\n') <= kMaxLines);
    CHECK_THAT(text, StartsWith("# ") && ContainsSubstring("May include:"));
    for (const std::string& name : named_files(text)) {
      INFO(name);
      CHECK((std::filesystem::exists(subfolder / name) ||
             std::filesystem::exists(std::filesystem::path(DYGRAD_SOURCE_DIR) / name)));
    }
  }
}

TEST_CASE("no subfolder is crowded") {
  std::set<std::filesystem::path> folders = subfolders();
  for (const std::filesystem::path& subfolder : subfolders()) folders.insert(subfolder / "detail");
  for (const std::filesystem::path& folder : folders) {
    if (!std::filesystem::exists(folder)) continue;
    const auto sources = std::count_if(std::filesystem::directory_iterator(folder), {},
                                       [](const auto& entry) { return is_source(entry.path()); });
    INFO(folder.string());
    CHECK(static_cast<std::size_t>(sources) <= kMaxSources);
  }
}
