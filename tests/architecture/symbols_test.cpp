// What a shared dygrad shows to the linker: names of ours, and nothing of the libraries inside.
#include <sstream>

#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad::testing;

TEST_CASE("a shared library exports only names of dygrad") {
  const auto result = run_command(std::string("nm -D --defined-only ") + DYGRAD_SHARED_LIBRARY + " | c++filt");
  REQUIRE(result.status == 0);
  std::istringstream lines(result.output);
  std::string foreign;
  int exported = 0;
  for (std::string address, kind, name; lines >> address >> kind && std::getline(lines, name); ++exported) {
    const bool library = name.find("nlohmann") != std::string::npos || name.find("dnnl") != std::string::npos;
    if (name.find("dygrad") == std::string::npos || library) foreign += name + "\n";
  }
  INFO(foreign);
  CHECK(exported > 100);
  CHECK(foreign.empty());
}

TEST_CASE("the library destroys nothing when the program ends") {
  // See Note [Static destruction] in core/base/detail/per_thread.h: what is registered for the end is destroyed before
  // some of its users.
  const auto result = run_command(std::string("nm -D --undefined-only ") + DYGRAD_SHARED_LIBRARY);
  REQUIRE(result.status == 0);
  CHECK(result.output.find("malloc") != std::string::npos);
  CHECK(result.output.find("__cxa_atexit") == std::string::npos);
  CHECK(result.output.find(" atexit") == std::string::npos);
}
