#include <dygrad/core/base/verbose.h>
#include <dygrad/tests/support/catch.h>

#include <vector>

using namespace dygrad;

TEST_CASE("a kernel call writes one line while verbose, and nothing otherwise") {
  std::vector<std::string> lines;
  const bool was_on = verbose();
  set_verbose_sink([&](std::string_view line) { lines.emplace_back(line); });
  set_verbose(false);
  const detail::VerboseCall silent;
  CHECK_FALSE(static_cast<bool>(silent));
  set_verbose(true);
  const detail::VerboseCall call;
  REQUIRE(static_cast<bool>(call));
  call.done("matmul", "2x3", "gemm", "sgemm");
  set_verbose(was_on);
  set_verbose_sink({});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].rfind("dygrad,matmul,2x3,gemm,sgemm,", 0) == 0);
  CHECK(std::stod(lines[0].substr(lines[0].rfind(',') + 1)) >= 0);
}

TEST_CASE("a sink may write lines itself, and set another sink") {
  std::vector<std::string> lines;
  set_verbose_sink([&](std::string_view line) {
    lines.emplace_back(line);
    detail::write_verbose_line("of the sink");
    set_verbose_sink([&](std::string_view other) { lines.emplace_back("next: " + std::string(other)); });
    lines.emplace_back("still here");
  });
  detail::write_verbose_line("one");
  detail::write_verbose_line("two");
  set_verbose_sink({});
  CHECK(lines == std::vector<std::string>{"one", "still here", "next: two"});
}
