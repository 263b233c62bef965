#include <dygrad/core/base/detail/environment.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/base/verbose.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/core/simd/instruction_set.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/command.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr const char* kTest = "an unknown value of a variable is an error at first use that lists the known ones";

constexpr const char* kForced = "DYGRAD_INSTRUCTION_SET holds for every backend that asks for instructions";

struct Variable {
  const char* name;
  std::function<void()> use;
  const char* known;
};

}  // namespace

TEST_CASE(kTest) {
  const Variable variables[] = {
      {"DYGRAD_MATH_MODE", [] { (void)execution_context(); }, "standard, strict, bfloat16"},
      {"DYGRAD_AUTOTUNE", [] { (void)execution_context(); }, "0, 1"},
      {"DYGRAD_VERBOSE", [] { (void)verbose(); }, "0, 1"},
      {"DYGRAD_INSTRUCTION_SET", [] { (void)kernel::instruction_set(); }, "baseline, avx2, avx512"},
      {"DYGRAD_BACKEND", [] { (void)forced_backend(); }, "reference"},
  };
  if (const char* name = std::getenv("DYGRAD_TEST_VARIABLE")) {  // the processes below
    for (const Variable& variable : variables) {
      if (variable.name != std::string(name)) continue;
      for (int time = 0; time < 2; ++time)  // and again: nothing was remembered
        CHECK_THROWS_MATCHES(variable.use(), Error, MessageContains(name, "\"bogus\"", variable.known, "fix"));
    }
    return;
  }
  for (const Variable& variable : variables) {
    const std::string name = variable.name;
    const CommandResult result = run_test_in_new_process(kTest, "DYGRAD_TEST_VARIABLE=" + name + " " + name + "=bogus");
    INFO(name << "\n" << result.output);
    CHECK(result.status == 0);
    CHECK_THAT(result.output, ContainsSubstring("in 1 test case"));
  }
}

TEST_CASE(kForced) {
  if (std::getenv("DYGRAD_TEST_FORCED")) {  // the process below
    CHECK(kernel::instruction_set() == kernel::InstructionSet::baseline);
    CHECK_FALSE(kernel::has_avx512_bf16());
    for (const std::string_view name : backend_names()) {
      INFO(name << ": " << backend(name).description());
      CHECK(backend(name).description().find("AVX") == std::string::npos);
    }
    return;
  }
  const CommandResult result = run_test_in_new_process(kForced, "DYGRAD_TEST_FORCED=1 DYGRAD_INSTRUCTION_SET=baseline");
  INFO(result.output);
  CHECK(result.status == 0);
  CHECK_THAT(result.output, ContainsSubstring("in 1 test case"));
}

TEST_CASE("a variable that is unset or empty has no value") {
  REQUIRE(setenv("DYGRAD_TEST_CHOICE", "", 1) == 0);
  CHECK(detail::environment("DYGRAD_TEST_CHOICE", {"a", "b"}).empty());
  REQUIRE(setenv("DYGRAD_TEST_CHOICE", "b", 1) == 0);
  CHECK(detail::environment("DYGRAD_TEST_CHOICE", {"a", "b"}) == "b");
  REQUIRE(setenv("DYGRAD_TEST_CHOICE", "B", 1) == 0);
  CHECK_THROWS_MATCHES(detail::environment("DYGRAD_TEST_CHOICE", {"a", "b"}), InvalidArgument,
                       MessageContains("DYGRAD_TEST_CHOICE", "a, b", "\"B\""));
  REQUIRE(unsetenv("DYGRAD_TEST_CHOICE") == 0);
  CHECK(detail::environment("DYGRAD_TEST_CHOICE", {"a", "b"}).empty());
}
