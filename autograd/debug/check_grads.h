// check_grads: believes a derivative only after comparing it with finite differences. For tests, the library's and
// users'.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

struct CheckGradsOptions {
  int order = 1;           ///< 1 checks gradients, 2 also gradients of gradients, ...
  bool full = true;        ///< every element of the Jacobian; false: along one random direction (fast mode)
  double step = 1e-5;      ///< of the central difference, whose error is about step^2 |f'''| / 6 + 1e-16 |f| / step
  double absolute = 1e-6;  ///< |analytic - numeric| <= absolute + relative * max(|analytic|, |numeric|)
  double relative = 1e-5;
  std::uint64_t seed = 0;      ///< of the random directions and cotangents
  bool non_contiguous = true;  ///< repeat with inputs that are strided views
};

/// One derivative that disagrees.
struct GradMismatch {
  int order;                          ///< 1: first derivative, ...
  std::string input;                  ///< "inputs[0]"; "a random direction" in fast mode
  std::vector<std::int64_t> element;  ///< of the input; empty in fast mode
  std::vector<std::int64_t> output;   ///< element of the function of this order; empty in fast mode
  double analytic;
  double numeric;
};

struct CheckGradsReport {
  bool ok = true;
  double worst_error = 0;                ///< largest |analytic - numeric|; NaN if any is
  std::int64_t checked = 0;              ///< number of comparisons
  std::vector<GradMismatch> mismatches;  ///< the first few; strided inputs only where they give another derivative
  std::string text;                      ///< a table of the mismatches, and what to look at
  explicit operator bool() const { return ok; }
};

/// A function from tensors to one tensor, made of differentiable ops.
using DifferentiableFunction = std::function<Tensor(std::span<const Tensor> inputs)>;

/// Compares the gradients of `f` at `inputs` with central differences of f itself; of order n > 1 by checking the
/// gradient function (recorded with create_graph) in the same way. Inputs are float64; they are copied, never changed;
/// those with stop_gradient true count as variables too. Throws DtypeError for other dtypes, InvalidArgument for an
/// empty function, an order outside of 1 to 16, a step that is not positive and finite, or a tolerance that is negative
/// or not finite. What f throws leaves as it is.
DYGRAD_API CheckGradsReport check_grads(const DifferentiableFunction& f, std::span<const Tensor> inputs,
                                        const CheckGradsOptions& options = {});
DYGRAD_API CheckGradsReport check_grads(const std::function<Tensor(const Tensor&)>& f, const Tensor& x,
                                        const CheckGradsOptions& options = {});
DYGRAD_API CheckGradsReport check_grads(const std::function<Tensor(const Tensor&, const Tensor&)>& f, const Tensor& a,
                                        const Tensor& b, const CheckGradsOptions& options = {});

}  // namespace dygrad
