#include <dygrad/core/dispatch/execution.h>

#include <cstdlib>
#include <string_view>

namespace dygrad {

namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

MathMode math_mode_from(std::string_view name) {
  return name == "bfloat16" ? MathMode::bfloat16 : name == "strict" ? MathMode::strict : MathMode::standard;
}

ExecutionContext from_environment() {
  static const ExecutionContext context{.math_mode = math_mode_from(environment("DYGRAD_MATH_MODE")),
                                        .autotune = environment("DYGRAD_AUTOTUNE") == "1"};
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
