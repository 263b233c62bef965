#include <dygrad/core/dispatch/execution.h>

#include <string_view>

#include <dygrad/core/base/detail/environment.h>

namespace dygrad {

namespace {

MathMode math_mode_from_environment() {
  const std::string_view name = detail::environment("DYGRAD_MATH_MODE", {"standard", "strict", "bfloat16"});
  return name == "bfloat16" ? MathMode::bfloat16 : name == "strict" ? MathMode::strict : MathMode::standard;
}

ExecutionContext from_environment() {
  static const ExecutionContext context{.math_mode = math_mode_from_environment(),
                                        .autotune = detail::environment("DYGRAD_AUTOTUNE", {"0", "1"}) == "1"};
  return context;
}

ExecutionContext& of_this_thread() {
  thread_local ExecutionContext context = from_environment();
  return context;
}

}  // namespace

const ExecutionContext& execution_context() { return of_this_thread(); }

ExecutionGuard::ExecutionGuard(const ExecutionContext& context) : previous_(of_this_thread()) {
  of_this_thread() = context;
}
ExecutionGuard::~ExecutionGuard() { of_this_thread() = previous_; }

}  // namespace dygrad
