#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <regex>
#include <set>
#include <string_view>

#include <dygrad/tests/architecture/include_graph.h>

namespace dygrad::testing {
namespace {

constexpr const char* kFolders[] = {"core", "autograd", "layers", "backends", "tests", "examples"};

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return text.starts_with(p); });
}

/// "core/tensor/tensor.h" for an include of ours, written <dygrad/core/tensor/tensor.h>.
std::optional<std::string> own_file(const std::string& include) {
  constexpr std::string_view prefix = "dygrad/";
  if (!include.starts_with(prefix)) return std::nullopt;
  if (include == "dygrad/dygrad.h") return "layers/dygrad.h";
  return include.substr(prefix.size());
}

/// The subfolders of a folder, each of which uses itself and those before it. What lies beside them may use them all.
struct Subfolders {
  std::string_view folder;
  std::vector<std::string_view> in_order;
};

const Subfolders kSubfolders[] = {
    {"core/", {"base", "simd", "memory", "tensor", "kernels", "dispatch", "creation", "io", "data"}},
    {"layers/", {"support", "init", "base", "containers", "optim"}},
    {"backends/native/", {"microkernels", "packing", "igemm", "winograd", "depthwise"}},
};

/// The index of a file's subfolder, or that after the last for what lies beside them.
std::size_t subfolder_index(const Subfolders& subfolders, std::string_view file) {
  const std::string_view rest = file.substr(subfolders.folder.size());
  const auto subfolder = std::ranges::find(subfolders.in_order, rest.substr(0, std::min(rest.find('/'), rest.size())));
  return static_cast<std::size_t>(subfolder - subfolders.in_order.begin());
}

/// True for what only the library's own .cpp files include.
bool is_private(std::string_view file) {
  return file.find("/detail/") != std::string_view::npos ||
         starts_with_any(file, {"core/simd/", "core/kernels/", "layers/support/", "backends/"});
}

/// The parts a file may include; a part is a folder, or one backend. All backends share backends/common/.
std::vector<std::string_view> allowed_parts(std::string_view file) {
  if (file.starts_with("core/")) return {"core/"};
  if (file.starts_with("autograd/")) return {"core/", "autograd/"};
  if (file.starts_with("layers/")) return {"core/", "autograd/", "layers/"};
  if (file.starts_with("backends/")) {
    const std::size_t second = file.find('/', std::string_view("backends/").size());
    if (second == std::string_view::npos) return {"core/", "backends/"};  // the list of what was compiled in
    return {"core/", "backends/common/", file.substr(0, second + 1)};
  }
  if (file.starts_with("examples/")) return {"core/", "autograd/", "layers/", "examples/"};
  if (file.starts_with("tests/bench/")) return {"core/", "autograd/", "layers/", "tests/bench/"};
  return {"core/", "autograd/", "layers/", "backends/", "tests/"};
}

struct Vendor {
  std::vector<std::string_view> headers;  // beginnings of include names
  std::vector<std::string_view> places;   // beginnings of the paths that may include them
};

const Vendor kVendors[] = {
    {{"dnnl", "oneapi/", "mkldnn"}, {"backends/onednn/"}},
    {{"cblas", "openblas", "mkl", "lapack"}, {"backends/gemm/"}},
    {{"cuda", "cudnn", "cublas"}, {"backends/cudnn/"}},
    {{"nlohmann/"}, {"core/io/", "tests/bench/"}},
    {{"zlib.h", "zconf.h"}, {"core/io/", "core/data/", "tests/core/"}},
    {{"stb"}, {"examples/"}},
    {{"CLI/"}, {"examples/", "tests/bench/"}},
    {{"torch/", "ATen/", "c10/"}, {"tests/bench/peer/"}},
    {{"catch2/"}, {"tests/support/", "autograd/debug/check_grads_matcher.h"}},
};

/// What headers reachable from the umbrella may include. Others, <mutex>, <chrono>, <algorithm> or <variant> say, bring
/// tens of thousands of lines into each of a user's files, and a .cpp file can include them instead.
constexpr std::string_view kLightHeaders[] = {"array",
                                              "atomic",
                                              "concepts",
                                              "cstddef",
                                              "cstdint",
                                              "exception",
                                              "functional",
                                              "initializer_list",
                                              "iosfwd",
                                              "iterator",
                                              "list",
                                              "map",
                                              "memory",
                                              "new",
                                              "omp.h",
                                              "optional",
                                              "span",
                                              "stdexcept",
                                              "string",
                                              "string_view",
                                              "sys/single_threaded.h",
                                              "type_traits",
                                              "typeinfo",
                                              "utility",
                                              "vector"};

bool may_include_fmt(std::string_view file) {
  return file.ends_with(".cpp") || file == "core/base/format.h" || file == "core/tensor/format.h" ||
         file == "core/base/detail/message.h" || starts_with_any(file, {"tests/", "examples/"});
}

/// These files and all that they include, by any number of steps.
std::set<std::string> reached_from(const IncludeGraph& graph, std::vector<std::string> open) {
  std::set<std::string> seen(open.begin(), open.end());
  while (!open.empty()) {
    const auto node = graph.find(open.back());
    open.pop_back();
    if (node == graph.end()) continue;
    for (const std::string& include : node->second) {
      const auto target = own_file(include);
      if (target && seen.insert(*target).second) open.push_back(*target);
    }
  }
  return seen;
}

}  // namespace

std::vector<std::string> includes_of(const std::string& text, const std::filesystem::path& folder) {
  static const std::regex line(R"((?:^|\n)[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"])");
  std::vector<std::string> result;
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    const std::string name = (*it)[2];
    result.push_back((*it)[1] == "<" ? name : ("dygrad" / folder / name).lexically_normal().generic_string());
  }
  return result;
}

IncludeGraph read_include_graph(const std::filesystem::path& root) {
  IncludeGraph graph;
  for (const char* folder : kFolders) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream in(entry.path());
      const std::string text(std::istreambuf_iterator<char>(in), {});
      const std::filesystem::path file = entry.path().lexically_relative(root);
      graph[file.generic_string()] = includes_of(text, file.parent_path());
    }
  }
  return graph;
}

std::vector<std::string> wrong_arrows(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const auto& [file, includes] : graph) {
    const auto allowed = allowed_parts(file);
    for (const std::string& include : includes) {
      const auto target = own_file(include);
      if (target && !starts_with_any(*target, allowed)) {
        std::string rule = file + " includes <" + include + ">; it may use";
        for (std::string_view part : allowed) rule += " " + std::string(part);
        result.push_back(rule);
      }
    }
  }
  return result;
}

std::vector<std::string> wrong_rooms(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const auto& [file, includes] : graph) {
    for (const std::string& include : includes) {
      const auto target = own_file(include);
      if (!target) continue;
      for (const Subfolders& subfolders : kSubfolders) {
        if (!file.starts_with(subfolders.folder) || !target->starts_with(subfolders.folder)) continue;
        const std::size_t own = subfolder_index(subfolders, file), other = subfolder_index(subfolders, *target);
        if (own == subfolders.in_order.size() || other <= own) continue;
        std::string rule = file + " includes <" + include + ">; the order of subfolders is";
        for (std::string_view subfolder : subfolders.in_order) rule += " " + std::string(subfolder);
        result.push_back(rule);
      }
      // The tape is there without the ops; only its implementation adds gradients with one.
      const bool of_tape = file.starts_with("autograd/") && file.ends_with(".h") && !file.starts_with("autograd/ops/");
      if (of_tape && target->starts_with("autograd/ops/"))
        result.push_back(file + " includes <" + include + ">; headers of the tape know no op");
    }
  }
  return result;
}

std::vector<std::string> unknown_rooms(const IncludeGraph& graph) {
  std::set<std::string> result;
  for (const auto& [file, includes] : graph) {
    for (const Subfolders& subfolders : kSubfolders) {
      if (!file.starts_with(subfolders.folder) || subfolder_index(subfolders, file) < subfolders.in_order.size())
        continue;
      const std::size_t slash = file.find('/', subfolders.folder.size());
      if (slash != std::string::npos) result.insert(file.substr(0, slash) + " is in no order of subfolders");
    }
  }
  return {result.begin(), result.end()};
}

std::vector<std::string> private_headers_of_users(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const std::string& file : reached_from(graph, {"layers/dygrad.h"})) {
    if (is_private(file)) result.push_back(file + " is private by its place, and reached from the umbrella");
  }
  return result;
}

std::vector<std::string> headers_out_of_reach(const IncludeGraph& graph) {
  const auto reached =
      reached_from(graph, {"layers/dygrad.h", "core/tensor/format.h", "autograd/debug/check_grads_matcher.h"});
  std::vector<std::string> result;
  for (const auto& [file, includes] : graph) {
    if (!file.ends_with(".h") || !starts_with_any(file, {"core/", "autograd/", "layers/"})) continue;
    if (!is_private(file) && !reached.contains(file))
      result.push_back(file + " is public by its place, and no user reaches it; it belongs in a detail folder");
  }
  return result;
}

std::vector<std::string> misplaced_vendors(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const auto& [file, includes] : graph) {
    for (const std::string& include : includes) {
      for (const Vendor& vendor : kVendors) {
        if (starts_with_any(include, vendor.headers) && !starts_with_any(file, vendor.places)) {
          result.push_back(file + " includes <" + include + ">; its place is " + std::string(vendor.places.front()));
        }
      }
      if (include.starts_with("fmt/") && !may_include_fmt(file)) {
        result.push_back(file + " includes <" + include + ">; public headers must not");
      }
    }
  }
  return result;
}

std::vector<std::string> unknown_files(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const auto& [file, includes] : graph) {
    for (const std::string& include : includes) {
      const auto target = own_file(include);
      if (target && !graph.contains(*target))
        result.push_back(file + " includes <" + include + ">; there is no such file");
    }
  }
  return result;
}

std::vector<std::string> cycles(const IncludeGraph& graph) {
  std::vector<std::string> result;
  std::vector<std::string> path;
  std::set<std::string> finished;
  const std::function<void(const std::string&)> visit = [&](const std::string& file) {
    const auto seen = std::find(path.begin(), path.end(), file);
    if (seen != path.end()) {
      std::string text;
      for (auto it = seen; it != path.end(); ++it) text += *it + " -> ";
      result.push_back(text + file);
      return;
    }
    const auto node = graph.find(file);
    if (node == graph.end() || finished.contains(file)) return;
    path.push_back(file);
    for (const std::string& include : node->second) {
      if (const auto target = own_file(include)) visit(*target);
    }
    path.pop_back();
    finished.insert(file);
  };
  for (const auto& [file, includes] : graph) visit(file);
  return result;
}

std::vector<std::string> costly_includes(const IncludeGraph& graph) {
  std::vector<std::string> result;
  for (const std::string& file : reached_from(graph, {"layers/dygrad.h"})) {
    const auto node = graph.find(file);
    if (node == graph.end()) continue;
    for (const std::string& include : node->second) {
      if (!own_file(include) && std::ranges::find(kLightHeaders, include) == std::end(kLightHeaders))
        result.push_back(file + " includes <" + include + ">; every file of a user would pay for it");
    }
  }
  return result;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace dygrad::testing
