// Activations with Paddle's default attributes and exact conventions at their kinks, and their table by name.
// float32 and float64. exp, log, tanh and other elementary functions are in elementwise.h; softmax in softmax.h.
// Throw DtypeError for other dtypes; InvalidArgument for negative thresholds, bounds in the wrong order, numbers that
// are NaN, slopes, scales, offsets, alpha, beta and lambda that are not finite in the dtype, and a scale to divide by
// that is 0 in it. Other thresholds and bounds may be infinite.
#pragma once

#include <span>
#include <string_view>

#include <dygrad/core/base/fused_activation.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// max(x, 0); derivative 0 at 0.
DYGRAD_API Tensor relu(const Tensor& x);
/// min(max(x, 0), threshold); derivative 1 strictly between.
DYGRAD_API Tensor relu6(const Tensor& x, double threshold = 6);
/// x > 0 ? x : alpha x; derivative alpha at 0.
DYGRAD_API Tensor leaky_relu(const Tensor& x, double alpha = 0.02);
/// x > 0 ? x : alpha (e^x - 1); derivative alpha at 0.
DYGRAD_API Tensor elu(const Tensor& x, double alpha = 1);
/// scale (x > 0 ? x : alpha (e^x - 1)); at 0 the negative branch.
DYGRAD_API Tensor selu(const Tensor& x, double scale = 1.0507009873554805, double alpha = 1.6732632423543772);
/// 1 / (1 + e^-x).
DYGRAD_API Tensor sigmoid(const Tensor& x);
/// log(sigmoid(x)), stable.
DYGRAD_API Tensor logsigmoid(const Tensor& x);
/// x - tanh(x).
DYGRAD_API Tensor tanh_shrink(const Tensor& x);
/// scale_b tanh(scale_a x).
DYGRAD_API Tensor stanh(const Tensor& x, double scale_a = 0.67, double scale_b = 1.7159);
/// clip(slope x + offset, 0, 1); derivative slope strictly between.
DYGRAD_API Tensor hard_sigmoid(const Tensor& x, double slope = 0.2, double offset = 0.5);
/// x sigmoid(beta x).
DYGRAD_API Tensor swish(const Tensor& x, double beta = 1);
DYGRAD_API Tensor silu(const Tensor& x);
/// x min(max(0, x + offset), threshold) / scale; derivative 0 if x + offset <= 0, 1 if x + offset >= threshold.
DYGRAD_API Tensor hard_swish(const Tensor& x, double threshold = 6, double scale = 6, double offset = 3);
/// x tanh(softplus(x)).
DYGRAD_API Tensor mish(const Tensor& x);
/// clip(x, t_min, t_max); derivative 1 strictly between.
DYGRAD_API Tensor brelu(const Tensor& x, double t_min = 0, double t_max = 24);
/// log(1 + exp(clip(x, -threshold, threshold))); derivative 1 - e^-y where the output y lies strictly within the
/// threshold.
DYGRAD_API Tensor soft_relu(const Tensor& x, double threshold = 40);
/// log(1 + e^x), stable.
DYGRAD_API Tensor softplus(const Tensor& x);
/// x / (1 + |x|).
DYGRAD_API Tensor softsign(const Tensor& x);
/// x > threshold ? x : 0.
DYGRAD_API Tensor thresholded_relu(const Tensor& x, double threshold = 1);
/// x moved towards 0 by lambda, 0 within [-lambda, lambda]; derivative 0 on the boundary.
DYGRAD_API Tensor softshrink(const Tensor& x, double lambda = 0.5);
/// |x| > threshold ? x : 0.
DYGRAD_API Tensor hard_shrink(const Tensor& x, double threshold = 0.5);
/// x/2 (1 + erf(x / sqrt 2)), or with `approximate` the tanh form.
DYGRAD_API Tensor gelu(const Tensor& x, bool approximate = false);

using ActivationFunction = Tensor (*)(const Tensor&);

/// The activation of that name with default attributes; null for "" (and "identity", "linear", "none").
/// Throws InvalidArgument listing the names for an unknown one, and saying why for "prelu" and "maxout".
DYGRAD_API ActivationFunction activation(std::string_view name);
/// That one as an end of an op: relu, leaky_relu, sigmoid and tanh can be one. None for all other names, whose
/// activation() must then be applied to the op's result.
DYGRAD_API FusedActivation fused_activation(std::string_view name);
/// All names that activation() takes, sorted.
DYGRAD_API std::span<const std::string_view> activation_names();

}  // namespace dygrad
