// Who may include whom. The rules are in include_graph.cpp; the made-up trees show that each of them can fail.
#include <dygrad/tests/architecture/include_graph.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad::testing;

namespace {
const IncludeGraph& sources() {
  static const IncludeGraph graph = read_include_graph(DYGRAD_SOURCE_DIR);
  return graph;
}
}  // namespace

TEST_CASE("include lines are found in every way of writing them") {
  const std::string text =
      "#include <a.h>\n  #  include \"../b.h\"\n// #include <c.h>\nint x;\n#include <d/e.h>  // why\n";
  CHECK_THAT(includes_of(text, "core/io"), Equals(std::vector<std::string>{"a.h", "dygrad/core/b.h", "d/e.h"}));
}

TEST_CASE("the sources are found") {
  CHECK(sources().contains("core/tensor/tensor.h"));
  CHECK(sources().contains("autograd/apply.h"));
  CHECK(sources().contains("layers/dygrad.h"));
}

TEST_CASE("folders depend in one direction") {
  INFO(joined(wrong_arrows(sources())));
  CHECK(wrong_arrows(sources()).empty());
}

TEST_CASE("an include against the arrows is reported") {
  const auto breaches = [](const std::string& file, const std::string& include) {
    return wrong_arrows({{file, {"vector", include}}}).size();
  };
  CHECK(breaches("core/a.h", "dygrad/autograd/node.h") == 1);
  CHECK(breaches("autograd/a.cpp", "dygrad/layers/base/layer.h") == 1);
  CHECK(breaches("autograd/a.cpp", "dygrad/dygrad.h") == 1);
  CHECK(breaches("autograd/a.cpp", "dygrad/backends/gemm/gemm.h") == 1);
  CHECK(breaches("backends/gemm/a.cpp", "dygrad/autograd/node.h") == 1);
  CHECK(breaches("backends/gemm/a.cpp", "dygrad/backends/onednn/onednn.h") == 1);
  CHECK(breaches("layers/a.h", "dygrad/tests/support/catch.h") == 1);
  CHECK(breaches("tests/bench/a.cpp", "dygrad/backends/gemm/gemm.h") == 1);
  CHECK(breaches("examples/a.cpp", "dygrad/backends/gemm/gemm.h") == 1);
  CHECK(breaches("backends/register.cpp", "dygrad/backends/gemm/gemm.h") == 0);
  CHECK(breaches("backends/gemm/a.cpp", "dygrad/backends/gemm/gemm.h") == 0);
  CHECK(breaches("backends/gemm/a.cpp", "dygrad/backends/common/sizes.h") == 0);
  CHECK(breaches("backends/gemm/a.cpp", "dygrad/backends/selection/autotune.h") == 1);
  CHECK(breaches("layers/a.cpp", "dygrad/autograd/node.h") == 0);
  CHECK(breaches("examples/a.cpp", "dygrad/dygrad.h") == 0);
}

TEST_CASE("the subfolders of a folder depend in one direction") {
  INFO(joined(wrong_rooms(sources())));
  CHECK(wrong_rooms(sources()).empty());
  INFO(joined(unknown_rooms(sources())));
  CHECK(unknown_rooms(sources()).empty());
}

TEST_CASE("an include against the order of subfolders is reported") {
  const auto breaches = [](const std::string& file, const std::string& include) {
    return wrong_rooms({{file, {"vector", include}}}).size();
  };
  CHECK(breaches("core/base/a.h", "dygrad/core/tensor/tensor.h") == 1);
  CHECK(breaches("core/tensor/detail/a.cpp", "dygrad/core/kernels/copy.h") == 1);
  CHECK(breaches("layers/init/a.h", "dygrad/layers/linear.h") == 1);
  CHECK(breaches("backends/native/packing/a.cpp", "dygrad/backends/native/igemm/b.h") == 1);
  CHECK(breaches("autograd/node.h", "dygrad/autograd/ops/shape/shape.h") == 1);
  CHECK(breaches("core/kernels/a.h", "dygrad/core/tensor/detail/b.h") == 0);
  CHECK(breaches("layers/linear.cpp", "dygrad/layers/base/layer.h") == 0);
  CHECK(breaches("autograd/detail/a.cpp", "dygrad/autograd/ops/shape/shape.h") == 0);
  CHECK(unknown_rooms({{"core/attic/a.h", {}}, {"layers/a.h", {}}, {"core/base/detail/a.h", {}}}).size() == 1);
}

TEST_CASE("the place of a header says whether it is public") {
  INFO(joined(private_headers_of_users(sources())));
  CHECK(private_headers_of_users(sources()).empty());
  INFO(joined(headers_out_of_reach(sources())));
  CHECK(headers_out_of_reach(sources()).empty());
}

TEST_CASE("a header in the wrong kind of place is reported") {
  const IncludeGraph graph{{"layers/dygrad.h", {"dygrad/core/base/detail/a.h"}},
                           {"core/base/detail/a.h", {}},
                           {"core/base/b.h", {}},
                           {"core/kernels/c.h", {}}};
  CHECK(private_headers_of_users(graph).size() == 1);
  CHECK_THAT(headers_out_of_reach(graph).at(0), StartsWith("core/base/b.h"));
  CHECK(headers_out_of_reach(graph).size() == 1);
}

TEST_CASE("headers of other libraries stay in their folder") {
  INFO(joined(misplaced_vendors(sources())));
  CHECK(misplaced_vendors(sources()).empty());
}

TEST_CASE("a header of another library in the wrong place is reported") {
  const auto breaches = [](const std::string& file, const std::string& include) {
    return misplaced_vendors({{file, {include}}}).size();
  };
  CHECK(breaches("core/a.cpp", "dnnl.hpp") == 1);
  CHECK(breaches("backends/gemm/a.cpp", "oneapi/dnnl/dnnl.hpp") == 1);
  CHECK(breaches("backends/onednn/a.cpp", "cblas.h") == 1);
  CHECK(breaches("core/a.cpp", "nlohmann/json.hpp") == 1);
  CHECK(breaches("layers/a.cpp", "zlib.h") == 1);
  CHECK(breaches("core/a.h", "fmt/format.h") == 1);
  CHECK(breaches("core/a.cpp", "catch2/catch.hpp") == 1);
  CHECK(breaches("tests/core/a.cpp", "CLI/CLI.hpp") == 1);
  CHECK(breaches("tests/bench/a.cpp", "torch/torch.h") == 1);
  CHECK(breaches("backends/onednn/a.h", "dnnl.hpp") == 0);
  CHECK(breaches("backends/gemm/a.cpp", "cblas.h") == 0);
  CHECK(breaches("core/io/a.cpp", "nlohmann/json.hpp") == 0);
  CHECK(breaches("core/a.cpp", "fmt/format.h") == 0);
  CHECK(breaches("tests/bench/a.cpp", "CLI/CLI.hpp") == 0);
  CHECK(breaches("tests/bench/peer/a.cpp", "torch/torch.h") == 0);
}

TEST_CASE("every include of ours names a file that exists") {
  INFO(joined(unknown_files(sources())));
  CHECK(unknown_files(sources()).empty());
  CHECK(unknown_files({{"core/a.h", {"dygrad/core/b.h"}}}).size() == 1);
}

TEST_CASE("no header includes itself by way of others") {
  INFO(joined(cycles(sources())));
  CHECK(cycles(sources()).empty());
}

TEST_CASE("an include cycle is reported with its path") {
  const IncludeGraph ring{
      {"core/a.h", {"dygrad/core/b.h"}}, {"core/b.h", {"dygrad/core/c.h"}}, {"core/c.h", {"dygrad/core/b.h"}}};
  CHECK_THAT(cycles(ring), Equals(std::vector<std::string>{"core/b.h -> core/c.h -> core/b.h"}));
}

TEST_CASE("the umbrella header brings in only light headers of the standard library") {
  INFO(joined(costly_includes(sources())));
  CHECK(costly_includes(sources()).empty());
}

TEST_CASE("a costly header behind the umbrella is reported, and one that no user sees is not") {
  const auto breaches = [](const std::string& header) {
    return costly_includes({{"layers/dygrad.h", {"dygrad/core/a.h"}},
                            {"core/a.h", {"vector", "dygrad/core/b.h"}},
                            {"core/b.h", {"dygrad/core/a.h", header}},
                            {"core/hidden.h", {"regex"}}})
        .size();
  };
  CHECK(breaches("mutex") == 1);
  CHECK(breaches("chrono") == 1);
  CHECK(breaches("string") == 0);
}
