// Whether a call did what it should.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

Real rounding_of(DType dtype) {
  return dtype == float32   ? static_cast<Real>(std::numeric_limits<float>::epsilon())
         : dtype == float64 ? static_cast<Real>(std::numeric_limits<double>::epsilon())
                            : Real{0};
}

bool agree(Real got, Real wanted, Real allowed) {
  if (std::isnan(wanted)) return std::isnan(got);
  return got == wanted || std::fabs(got - wanted) <= allowed;
}

void compare(const Values& got, const Values& wanted, Real unit, std::string_view what) {
  for (std::size_t i = 0; i < wanted.at.size(); ++i) {
    const Real size = wanted.size.empty() ? std::fabs(wanted.at[i]) : wanted.size[i];
    if (!agree(got.at[i], wanted.at[i], unit * size)) {
      fail(fmt::format("{} differs at element {}: {} instead of {}, allowed are {}", what, i,
                       static_cast<double>(got.at[i]), static_cast<double>(wanted.at[i]),
                       static_cast<double>(unit * size)));
    }
  }
}

/// Largest distance, measured by the largest element of either.
void compare_whole(const Values& got, const Values& wanted, Real unit, std::string_view what) {
  Real largest = 0;
  for (Real v : wanted.at) largest = std::isfinite(v) ? std::max(largest, std::fabs(v)) : largest;
  Values measured = wanted;
  measured.size.assign(measured.at.size(), std::max(largest, Real{1}));
  compare(got, measured, unit, what);
}

void check_result(const Tensor& y, const Call& call) {
  const Shape& shape = call.shape ? *call.shape : call.expected->shape;
  if (!y.defined()) fail("the result is undefined");
  if (y.shape() != shape) fail(fmt::format("the result has shape {} instead of {}", y.shape(), shape));
  if (y.dtype() != call.dtype) fail(fmt::format("the result has dtype {} instead of {}", y.dtype(), call.dtype));
  if (call.shape) return;
  const Real least = call.dtype == float32 ? Real{1e-36} : Real{1e-300};  // denormals may be flushed
  const Real unit = static_cast<Real>(call.units) * rounding_of(call.dtype);
  Values wanted = *call.expected;
  if (unit > 0) {
    if (wanted.size.empty()) wanted.size = wanted.at;
    for (Real& size : wanted.size) size = std::max(std::fabs(size), least);
  }
  compare(read(y), wanted, unit, "the result");
}

std::vector<Tensor> leaves_of(const std::vector<Tensor>& inputs, bool dense) {
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) {
    leaves.push_back(!x.defined() ? x : dense ? kernel::clone(x, MemoryFormat::row_major) : view::alias(x));
    if (x.defined() && is_floating(x.dtype())) leaves.back().set_stop_gradient(false);
  }
  return leaves;
}

/// A plain pass over views, and a recorded one over dense copies.
void check_gradients(const Call& call, Random& random) {
  const std::vector<Tensor> views = leaves_of(call.inputs, false), copies = leaves_of(call.inputs, true);
  const Tensor y = call.run(views), z = call.run(copies);
  if (y.stop_gradient()) fail("the result stops gradients");
  const Tensor g = random_tensor(random, y.shape(), y.dtype());
  y.backward(g);
  std::vector<Tensor> wanted_of, found;
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (!views[i].defined() || !is_floating(views[i].dtype())) continue;
    wanted_of.push_back(copies[i]);
    found.push_back(views[i].grad());
  }
  const std::vector<Tensor> wanted = grad(std::span<const Tensor>(&z, 1), wanted_of,
                                          {.grad_outputs = {g}, .create_graph = true, .allow_unused = true});
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Shape& shape = wanted_of[i].shape();
    if (found[i].defined() != wanted[i].defined()) fail("one of two passes gives no gradient");
    if (!found[i].defined()) continue;
    if (found[i].shape() != shape || wanted[i].shape() != shape)
      fail(fmt::format("a gradient has shape {} or {} instead of {}", found[i].shape(), wanted[i].shape(), shape));
    if (found[i].dtype() != wanted_of[i].dtype()) fail("a gradient has another dtype than its input");
    const Real unit = rounding_of(found[i].dtype()) * Real{4096};
    compare_whole(read(found[i]), read(wanted[i]), unit, fmt::format("the gradient of input {} by views", i));
  }
}

void check_differences(const Call& call, Random& random) {
  std::vector<Tensor> points;
  std::vector<std::size_t> places;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& x = call.inputs[i];
    if (!x.defined() || !is_floating(x.dtype())) continue;
    const Domain domain = i < call.domains.size() ? call.domains[i] : Domain::any;
    points.push_back(distinct_tensor(random, x.shape(), domain, static_cast<int>(i)));
    places.push_back(i);
    count += x.num_elements();
  }
  if (count == 0 || count > 48) return;
  const auto f = [&](std::span<const Tensor> variables) {
    std::vector<Tensor> all = call.inputs;
    for (std::size_t k = 0; k < places.size(); ++k) all[places[k]] = variables[k];
    const Tensor y = call.run(all);
    return y * y;  // so that linear ops have second derivatives, too
  };
  const CheckGradsReport report =
      check_grads(f, points, {.order = 2, .full = false, .absolute = 1e-5, .relative = 1e-4, .seed = random.bits()});
  if (!report.ok) fail("derivatives differ: " + report.text);
}

}  // namespace

int plain_axis(std::int64_t axis, int rank, bool of_number) {
  const int limit = rank == 0 && of_number ? 1 : rank;
  if (axis < -limit || axis >= limit) return -1;
  return static_cast<int>(axis < 0 ? axis + limit : axis);
}

void check(const Call& call, Random& random) {
  const bool is_valid = call.expected || call.shape;
  try {
    const Tensor y = call.run(call.inputs);
    if (call.is_unclear && !is_valid) return;
    if (!is_valid) fail("accepted, with a result of shape " + fmt::format("{}", y.shape()));
    check_result(y, call);
    if (!call.has_gradients || call.shape || y.num_elements() > 4096) return;
    if (random.one_in(8)) check_gradients(call, random);
    if (call.is_smooth && random.one_in(24)) check_differences(call, random);
  } catch (const Error& error) {
    const std::string_view words = error.what();
    if (is_valid && !call.may_refuse) fail(fmt::format("refused: {}", words));
    if (words.find(": ") == std::string_view::npos) fail(fmt::format("the error names no op: {}", words));
  }
}

std::string describe(const Call& call) {
  std::string text = call.text;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor& x = call.inputs[i];
    text += fmt::format("\n  input {}: {}", i, describe(x));
    if (!x.defined() || x.num_elements() > 256) continue;
    std::vector<double> values;
    for (Real v : read(x).at) values.push_back(static_cast<double>(v));
    text += fmt::format(" {{{}}}", fmt::join(values, ", "));
  }
  return text;
}

}  // namespace dygrad::testing
