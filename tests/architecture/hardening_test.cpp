// What the linker and the compiler were asked to do against attacks, as the shared library shows it.
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad::testing;

namespace {

std::string printed_by(const std::string& command) {
  const auto result = run_command(command);
  INFO(command << "\n" << result.output);
  REQUIRE(result.status == 0);
  return result.output;
}

/// The line of readelf's output that contains this word, or nothing.
std::string line_with(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word);
  if (at == std::string::npos) return {};
  const std::size_t begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

bool is_hardened() {
  if (DYGRAD_HARDENED) return true;
  WARN("skipped: builds with sanitizers are not hardened");
  SUCCEED();
  return false;
}

}  // namespace

TEST_CASE("the shared library's tables are read-only once it is loaded, and its stack is not executable") {
  if (!is_hardened()) return;
  const std::string segments = printed_by(std::string("readelf -lW ") + DYGRAD_SHARED_LIBRARY);
  CHECK_THAT(segments, ContainsSubstring("GNU_RELRO"));
  CHECK_THAT(line_with(segments, "GNU_STACK"), ContainsSubstring(" RW "));
  const std::string dynamic = printed_by(std::string("readelf -dW ") + DYGRAD_SHARED_LIBRARY);
  CHECK_THAT(line_with(dynamic, "(FLAGS)"), ContainsSubstring("BIND_NOW"));
}

TEST_CASE("the shared library searches no folder that depends on who runs it") {
  const std::string dynamic = printed_by(std::string("readelf -dW ") + DYGRAD_SHARED_LIBRARY);
  for (const char* tag : {"(RUNPATH)", "(RPATH)"}) {
    const std::string line = line_with(dynamic, tag);
    if (line.empty()) continue;
    INFO(line);
    const std::size_t begin = line.find('['), end = line.find(']');
    REQUIRE(begin < end);
    std::string rest = line.substr(begin + 1, end - begin - 1) + ":";
    for (std::size_t colon; (colon = rest.find(':')) != std::string::npos; rest.erase(0, colon + 1)) {
      const std::string entry = rest.substr(0, colon);
      CHECK((entry.starts_with("/") || entry.starts_with("$ORIGIN")));
    }
  }
}

TEST_CASE("functions that take bytes from outside guard the stack, and the loops of kernels do not") {
  if (!is_hardened()) return;
  const std::string guard = "__stack_chk_fail";
  CHECK_THAT(printed_by(std::string("nm -D --undefined-only ") + DYGRAD_SHARED_LIBRARY), ContainsSubstring(guard));
  const std::string kernels = DYGRAD_KERNEL_OBJECTS;
  REQUIRE_FALSE(kernels.empty());
  CHECK(printed_by("nm --undefined-only " + kernels).find(guard) == std::string::npos);
}
