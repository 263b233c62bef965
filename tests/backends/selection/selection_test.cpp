// Which backend computes: preference, BackendGuard, DYGRAD_BACKEND, and what is said when a choice is impossible.
#include <cstdlib>
#include <thread>

#include <dygrad/core/base/error.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr ConvShape kShape{"any", 1, 4, 4, 4, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1, 0, 0};

/// The backend that would compute a small conv2d_transpose.
std::string_view selected(DType dtype) {
  const Conv2DParams p = kShape.params();
  return select_backend({.kind = Kind::conv2d_transpose,
                         .dtype = dtype,
                         .conv = &p,
                         .x = kShape.x_shape(),
                         .w = kShape.w_shape(),
                         .y = kShape.y_shape()})
      .name();
}

/// DYGRAD_BACKEND, or nothing.
std::string environment() {
  const char* value = std::getenv("DYGRAD_BACKEND");
  return value ? value : "";
}

bool is_compiled_in(std::string_view name) {
  const auto names = backend_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Runs one test case of this executable in a process with that DYGRAD_BACKEND.
CommandResult run_with_environment(const std::string& value, const std::string& test) {
  return run_test_in_new_process(test, "DYGRAD_BACKEND=" + value);
}

}  // namespace

TEST_CASE("the reference backend is always there, and last") {
  CHECK(backend_names().back() == "reference");
  for (const std::string_view name : backend_names()) {
    CHECK(backend(name).name() == name);
    CHECK_FALSE(backend(name).description().empty());
  }
}

TEST_CASE("the algorithm with the smallest estimate computes; whole numbers are left to loops") {
  if (!environment().empty()) {
    SUCCEED("a backend is forced");
    return;
  }
  for (const DType dtype : {float32, float64}) {
    for (const ConvShape& shape : kLayerShapes) {
      for (const Kind kind : kDirections) {
        const Conv2DParams p = shape.params();
        const Problem problem{kind, dtype, &p, shape.x_shape(), shape.w_shape(), shape.y_shape()};
        const double chosen = choose(problem).algorithm->estimate(problem);
        CHECK(chosen > 0);
        for (const auto& backend : all_backends()) {
          for (const Algorithm* algorithm : backend->algorithms()) {
            if (algorithm->supports(problem)) CHECK(chosen <= algorithm->estimate(problem));
          }
        }
      }
    }
  }
  CHECK(selected(int64) == "reference");
}

TEST_CASE("a backend guard forces a backend on its own thread while it lives, and nests", "[threads]") {
  const std::string_view before = selected(float64);
  for (const std::string_view name : backend_names()) {
    if (name == "onednn") continue;  // has no float64
    const BackendGuard outer(name);
    CHECK(selected(float64) == name);
    {
      const BackendGuard inner("reference");
      CHECK(selected(float64) == "reference");
    }
    CHECK(selected(float64) == name);
    std::string_view elsewhere;
    std::thread([&] { elsewhere = selected(float64); }).join();
    CHECK(elsewhere == before);
  }
  CHECK(selected(float64) == before);
}

TEST_CASE("an unknown backend is an error that lists the known ones") {
  CHECK_THROWS_AS(backend("abacus"), BackendError);
  CHECK_THROWS_WITH(BackendGuard("abacus"), ContainsSubstring("\"abacus\"") && ContainsSubstring("reference"));
  if (environment().empty()) CHECK(selected(int64) == "reference");  // the failed guard left nothing behind
}

TEST_CASE("a known backend that was not compiled in names its CMake option") {
  for (const auto& [name, option] : {std::pair{"onednn", "DYGRAD_ONEDNN"}, std::pair{"gemm", "DYGRAD_BLAS"}}) {
    if (is_compiled_in(name)) {
      CHECK(backend(name).name() == name);
    } else {
      CHECK_THROWS_WITH(backend(name), ContainsSubstring(option));
    }
  }
}

TEST_CASE("a forced backend that cannot compute the problem says so, with shapes and a remedy") {
  if (!is_compiled_in("gemm")) {
    CHECK(backend("reference").supports({.kind = Kind::matmul, .dtype = int64, .x = {1, 1}, .w = {1, 1}, .y = {1, 1}}));
    return;
  }
  const BackendGuard guard("gemm");
  CHECK_THROWS_AS(selected(int64), BackendError);
  CHECK_THROWS_WITH(selected(int64), ContainsSubstring("conv2d_transpose") && ContainsSubstring("gemm") &&
                                         ContainsSubstring("int64") && ContainsSubstring("[1, 4, 4, 4]") &&
                                         ContainsSubstring("DYGRAD_BACKEND"));
}

TEST_CASE("the environment decides unless a guard does") {
  const std::string forced = environment();
  if (forced == "abacus") {
    REQUIRE_THROWS_WITH(backend_names(), ContainsSubstring("DYGRAD_BACKEND: there is no such backend") &&
                                             ContainsSubstring("\"abacus\""));
    return;
  }
  if (!forced.empty()) CHECK(selected(float32) == forced);
  const BackendGuard guard("reference");
  CHECK(selected(float32) == "reference");
}

TEST_CASE("DYGRAD_BACKEND forces a backend for the whole process") {
  for (const char* value : {"", "reference", "abacus"}) {
    const CommandResult result = run_with_environment(value, "the environment decides unless a guard does");
    INFO("DYGRAD_BACKEND=" << value << "\n" << result.output);
    CHECK(result.status == 0);
    CHECK_THAT(result.output, ContainsSubstring("in 1 test case"));
  }
}
