// What a user's compiler sees: headers that stand alone, and an umbrella that brings in nothing but dygrad and std.
#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <mutex>
#include <thread>

#include <dygrad/tests/architecture/include_graph.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad::testing;

namespace {

std::string compile_line(const std::string& arguments) {
  return std::string(DYGRAD_CXX) + " -std=c++20 -I" + DYGRAD_INCLUDE_DIR + " " + arguments;
}

bool is_part_of(const std::string& file, std::initializer_list<const char*> folders) {
  return std::ranges::any_of(folders, [&](const char* folder) { return file.starts_with(folder); });
}

/// Headers of the library. That a .cpp includes one first proves nothing, for precompiled headers come before it.
std::vector<std::string> own_headers() {
  std::vector<std::string> headers;
  for (const auto& [file, includes] : read_include_graph(DYGRAD_SOURCE_DIR)) {
    const bool is_own = is_part_of(file, {"core/", "autograd/", "layers/", "backends/"});
    const bool is_compiled_in = (DYGRAD_WITH_ONEDNN || !is_part_of(file, {"backends/onednn/"})) &&
                                (DYGRAD_WITH_BLAS || !is_part_of(file, {"backends/gemm/"}));
    const bool is_template = file.ends_with("_impl.h");  // each file of one instruction set defines its macros first
    if (is_own && is_compiled_in && !is_template && file.ends_with(".h")) headers.push_back(file);
  }
  return headers;
}

}  // namespace

TEST_CASE("every header compiles on its own", "[slow]") {
  const std::vector<std::string> headers = own_headers();
  REQUIRE_FALSE(headers.empty());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::string failures;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < headers.size();) {
      const auto result = run_command("echo '#include <dygrad/" + headers[i] + ">' | " +
                                      compile_line("-Wall -Wextra -Werror -fsyntax-only -x c++ -"));
      const std::lock_guard lock(mutex);
      if (result.status != 0) failures += headers[i] + ":\n" + result.output;
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  threads.clear();
  INFO(failures);
  CHECK(failures.empty());
}

TEST_CASE("a schedule's formula that does not say how it is counted is refused by the compiler") {
  const auto compile = [](const std::string& counting) {
    return run_command(
        "printf '%s\\n' '#include <dygrad/dygrad.h>' 'struct F { long begin = 1; double operator()(long) "
        "const { return 1; } " +
        counting + " }; dygrad::Schedule rate = F{};' | " + compile_line("-fsyntax-only -x c++ -"));
  };
  const auto counted = compile("dygrad::ScheduleCounting counting() const { return {.begin = begin}; }");
  INFO(counted.output);
  CHECK(counted.status == 0);
  const auto silent = compile("");
  CHECK(silent.status != 0);
  CHECK_THAT(silent.output, ContainsSubstring("a formula with begin, step or per_epoch says so"));
  CHECK(compile("dygrad::ScheduleCounting counting() const { return {.beginning = begin}; }").status != 0);
}

TEST_CASE("the umbrella header brings in no other library") {
  const auto result = run_command("echo '#include <dygrad/dygrad.h>' | " + compile_line("-M -x c++ -"));
  INFO(result.output);
  REQUIRE(result.status == 0);
  CHECK_THAT(result.output, ContainsSubstring("dygrad/core/tensor/tensor.h"));
  for (const char* foreign :
       {"/fmt/", "nlohmann", "dnnl", "cblas", "zlib.h", "catch2", "dygrad/core/base/detail/message.h", "/omp.h"}) {
    CHECK_THAT(result.output, !ContainsSubstring(foreign));
  }
}
