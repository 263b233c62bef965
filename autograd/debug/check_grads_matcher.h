// A Catch2 matcher for check_grads, so that a failing test prints its report:
//   CHECK_THAT(check_grads(f, inputs, {.order = 2}), GradsAgree());
// For tests, with Catch2 2 or 3; not part of the umbrella header, and the only header that needs Catch2.
#pragma once

#if __has_include(<catch2/matchers/catch_matchers.hpp>)
#include <catch2/matchers/catch_matchers.hpp>
#define DYGRAD_MATCHER_BASE Catch::Matchers::MatcherBase
#else
#include <catch2/catch.hpp>
#define DYGRAD_MATCHER_BASE Catch::MatcherBase
#endif

#include <string>

#include <dygrad/autograd/debug/check_grads.h>

namespace dygrad {

class GradsAgree : public DYGRAD_MATCHER_BASE<CheckGradsReport> {
 public:
  bool match(const CheckGradsReport& report) const override { return report.ok && report.checked > 0; }
  std::string describe() const override { return "has derivatives that agree with finite differences"; }
};

}  // namespace dygrad

#undef DYGRAD_MATCHER_BASE

namespace Catch {
template <>
struct StringMaker<dygrad::CheckGradsReport> {
  static std::string convert(const dygrad::CheckGradsReport& report) { return report.text; }
};
}  // namespace Catch
