// The shim tests/support/catch.h: what tests rely on exists in both versions of Catch2.
#include <stdexcept>

#include <dygrad/tests/support/catch.h>

using namespace dygrad::testing;

TEST_CASE("the shim offers one spelling of the matchers", "[smoke]") {
  CHECK_THAT(1.0, WithinAbs(1.0, 1e-12) && WithinRel(1.0, 1e-12) && WithinULP(1.0, 1));
  CHECK_THAT(1.0, !WithinAbs(1.5, 0.1));
  CHECK_THAT("one two", ContainsSubstring("e t") && StartsWith("one") && EndsWith("two"));
  CHECK_THAT(3, Predicate<int>([](int n) { return n % 2 == 1; }, "is odd"));
  CHECK_THAT((std::vector<int>{1, 2}), Equals(std::vector<int>{1, 2}));
  CHECK(1.0 == Approx(1.0));
}

TEST_CASE("the shim looks for words in the text of an exception", "[smoke]") {
  CHECK_THROWS_MATCHES(throw std::runtime_error("one two"), std::runtime_error, MessageContains("two", "one"));
  CHECK_THROWS_MATCHES(throw std::runtime_error("one two"), std::runtime_error, !MessageContains("one", "three"));
  CHECK_THROWS_WITH(throw std::runtime_error("one two"), ContainsSubstring("two"));
}

TEST_CASE("the shim offers generators", "[smoke]") {
  const int value = GENERATE(values({1, 2, 3}), range(4, 6));
  CHECK(value >= 1);
}

TEMPLATE_TEST_CASE("the shim offers typed test cases", "[smoke]", float, double) { CHECK(TestType{} == 0); }
