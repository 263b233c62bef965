// Activations, with their attributes.
#include <fmt/format.h>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

Real clamp(Real v, Real low, Real high) { return v < low ? low : v > high ? high : v; }
Real sigmoid_of(Real v) { return 1 / (1 + std::exp(-v)); }
Real softplus_of(Real v) { return std::log1p(std::exp(v)); }

struct Activation {
  const char* name;
  Tensor (*run)(const Tensor& x, double a, double b);
  Real (*plain)(Real v, Real a, Real b);
  bool wants_order = false;     ///< a <= b, else an Error is due
  bool wants_positive = false;  ///< a >= 0, else an Error is due
  bool is_smooth = true;        ///< false: its derivative follows a convention
};

const Activation kActivations[] = {
    {"relu", [](const Tensor& x, double, double) { return relu(x); }, [](Real v, Real, Real) { return v > 0 ? v : 0; }},
    {"relu6", [](const Tensor& x, double a, double) { return relu6(x, a); },
     [](Real v, Real a, Real) { return clamp(v, 0, a); }, false, true},
    {"leaky_relu", [](const Tensor& x, double a, double) { return leaky_relu(x, a); },
     [](Real v, Real a, Real) { return v > 0 ? v : a * v; }},
    {"elu", [](const Tensor& x, double a, double) { return elu(x, a); },
     [](Real v, Real a, Real) { return v > 0 ? v : a * std::expm1(v); }},
    {"selu", [](const Tensor& x, double a, double b) { return selu(x, a, b); },
     [](Real v, Real a, Real b) { return a * (v > 0 ? v : b * std::expm1(v)); }},
    {"sigmoid", [](const Tensor& x, double, double) { return sigmoid(x); },
     [](Real v, Real, Real) { return sigmoid_of(v); }},
    {"logsigmoid", [](const Tensor& x, double, double) { return logsigmoid(x); },
     [](Real v, Real, Real) { return -softplus_of(-v); }},
    {"tanh_shrink", [](const Tensor& x, double, double) { return tanh_shrink(x); },
     [](Real v, Real, Real) { return v - std::tanh(v); }},
    {"stanh", [](const Tensor& x, double a, double b) { return stanh(x, a, b); },
     [](Real v, Real a, Real b) { return b * std::tanh(a * v); }},
    {"hard_sigmoid", [](const Tensor& x, double a, double b) { return hard_sigmoid(x, a, b); },
     [](Real v, Real a, Real b) { return clamp(a * v + b, 0, 1); }},
    {"swish", [](const Tensor& x, double a, double) { return swish(x, a); },
     [](Real v, Real a, Real) { return v * sigmoid_of(a * v); }},
    {"silu", [](const Tensor& x, double, double) { return silu(x); },
     [](Real v, Real, Real) { return v * sigmoid_of(v); }},
    {"hard_swish", [](const Tensor& x, double, double) { return hard_swish(x); },
     [](Real v, Real, Real) { return v * clamp(v + 3, 0, 6) / 6; }},
    {"mish", [](const Tensor& x, double, double) { return mish(x); },
     [](Real v, Real, Real) { return v * std::tanh(softplus_of(v)); }},
    {"brelu", [](const Tensor& x, double a, double b) { return brelu(x, a, b); },
     [](Real v, Real a, Real b) { return clamp(v, a, b); }, true},
    {"soft_relu", [](const Tensor& x, double a, double) { return soft_relu(x, a); },
     [](Real v, Real a, Real) { return softplus_of(clamp(v, -a, a)); }, false, true, false},
    {"softplus", [](const Tensor& x, double, double) { return softplus(x); },
     [](Real v, Real, Real) { return softplus_of(v); }},
    {"softsign", [](const Tensor& x, double, double) { return softsign(x); },
     [](Real v, Real, Real) { return v / (1 + std::fabs(v)); }},
    {"thresholded_relu", [](const Tensor& x, double a, double) { return thresholded_relu(x, a); },
     [](Real v, Real a, Real) { return v > a ? v : 0; }},
    {"softshrink", [](const Tensor& x, double a, double) { return softshrink(x, a); },
     [](Real v, Real a, Real) { return v > a    ? v - a
                                       : v < -a ? v + a
                                                : 0; }, false, true},
    {"hard_shrink", [](const Tensor& x, double a, double) { return hard_shrink(x, a); },
     [](Real v, Real a, Real) { return std::fabs(v) > a ? v : 0; }, false, true},
    {"gelu", [](const Tensor& x, double, double) { return gelu(x); },
     [](Real v, Real, Real) { return v / 2 * (1 + std::erf(v / std::sqrt(Real{2}))); }},
    {"gelu, tanh form", [](const Tensor& x, double, double) { return gelu(x, true); },
     [](Real v, Real, Real) {
       const Real scale = std::sqrt(2 / std::acos(Real{-1}));
       return v / 2 * (1 + std::tanh(scale * (v + Real{0.044715L} * v * v * v)));
     }},
};

}  // namespace

Call activation_call(Random& random) {
  const Activation& which = kActivations[random.below(std::ssize(kActivations))];
  const DType dtype = random.one_in(20) ? random_dtype(random) : random_float(random);
  const Tensor x = random_tensor(random, random.shape(), dtype);
  // Multiples of 1/8, which no argument is near; soft_relu's second derivative would be cut off near its threshold.
  const bool negative = random.one_in(8);
  const double a = static_cast<double>(negative ? -random.between(1, 8) : random.between(1, 24)) / 8;
  const double b = static_cast<double>(random.between(-8, 24)) / 8;
  Call call{.text = fmt::format("{} ({}, {})", which.name, a, b), .inputs = {x}, .run = [f = which.run, a, b](auto in) {
              return f(in[0], a, b);
            }};
  call.dtype = dtype;
  call.units = 16;
  call.has_gradients = true;
  call.is_smooth = which.is_smooth;
  const bool is_valid = !(which.wants_order && a > b) && !(which.wants_positive && a < 0);
  if (is_floating(dtype) && is_valid) {
    const Values v = read(x);
    call.expected = make_values(
        x.shape(), [&](const Dims& i) { return which.plain(v(i), static_cast<Real>(a), static_cast<Real>(b)); });
    // Parts may cancel: errors are measured by the argument.
    for (std::size_t i = 0; i < v.at.size(); ++i)
      call.expected->size.push_back(std::fabs(call.expected->at[i]) + std::fabs(v.at[i]) + 1);
  }
  return call;
}

}  // namespace dygrad::testing
