// Initializer: what fills a new parameter. A value made from one of the small structs beside this file (Constant,
// Uniform, Normal, TruncatedNormal, Xavier, MSRA, Bilinear, Assign) or from any function of the user's.
#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

namespace detail {
[[noreturn]] DYGRAD_API void fail_empty_initializer();
}  // namespace detail

/// A rule that overwrites every element of a fresh, dense, row-major tensor of the parameter's shape and dtype. It runs
/// outside of any graph.
template <class F>
concept InitializerRule = std::is_invocable_r_v<void, const F&, Tensor&> && std::copy_constructible<F>;

/// Any InitializerRule, or none: `.initializer = Normal{.scale = 0.02}`, `.initializer = [](Tensor& w) { ... }`.
class Initializer {
 public:
  Initializer() = default;
  template <class F>
  requires(!std::same_as<F, Initializer> && InitializerRule<F>) Initializer(F rule)
      : rule_(
            detail::with_out_of_memory("Initializer", [&] { return std::function<void(Tensor&)>(std::move(rule)); })) {}

  explicit operator bool() const { return static_cast<bool>(rule_); }
  /// Fills `value`. Throws InvalidArgument if empty.
  void operator()(Tensor& value) const {
    if (!rule_) detail::fail_empty_initializer();
    detail::call_user([&] { rule_(value); });
  }

 private:
  std::function<void(Tensor&)> rule_;
};

/// Replaces the layers' own defaults, for weights and for biases, from now on and on all threads; an explicit
/// ParamAttr::initializer still wins. Empty ones restore the layers' defaults.
DYGRAD_API void set_global_initializer(Initializer weight, Initializer bias = {});

namespace detail {
DYGRAD_API Initializer global_initializer(bool is_bias);
}  // namespace detail

}  // namespace dygrad
