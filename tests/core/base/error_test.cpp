#include <dygrad/core/base/error.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

TEST_CASE("messages have one shape: op and problem, facts, fix") {
  const ShapeError error(Message("matmul", "inner sizes differ.")
                             .line("a {}, b {}", Shape{2, 3}, Shape{4, 5})
                             .expected("{}", 3)
                             .got("{}", 4)
                             .fix("transpose one operand"));
  CHECK(std::string(error.what()) ==
        "matmul: inner sizes differ.\n"
        "  a [2, 3], b [4, 5]\n"
        "  expected 3, got 4\n"
        "  fix: transpose one operand");
}

TEST_CASE("every error is a dygrad::Error, and a standard one") {
  CHECK_THROWS_AS(throw ShapeError("x"), InvalidArgument);
  CHECK_THROWS_AS(throw DtypeError("x"), InvalidArgument);
  CHECK_THROWS_AS(throw IoError("x"), Error);
  CHECK_THROWS_AS(throw GraphError("x"), Error);
  CHECK_THROWS_AS(throw BackendError("x"), Error);
  CHECK_THROWS_AS(throw OutOfMemory("x"), std::runtime_error);
}
