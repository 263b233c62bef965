// Batch normalisation, alone and with an activation at its end.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

Real activated(Real v, const FusedActivation& activation) {
  switch (activation.kind) {
    case FusedActivation::Kind::relu: return v > 0 ? v : 0;
    case FusedActivation::Kind::leaky_relu: return v > 0 ? v : static_cast<Real>(activation.alpha) * v;
    case FusedActivation::Kind::sigmoid: return 1 / (1 + std::exp(-v));
    case FusedActivation::Kind::tanh: return std::tanh(v);
    case FusedActivation::Kind::none: break;
  }
  return v;
}

}  // namespace

Call norm_call(Random& random) {
  Call call;
  call.dtype = random.one_in(30) ? random_dtype(random) : random_float(random);
  Shape shape = random.shape_of_rank(random.one_in(3) ? 2 : 4, 4);
  if (random.one_in(6)) shape[0] = random.between(20, 60);
  if (random.one_in(40)) shape.erase(0);
  const std::int64_t channels = shape.rank() > 1 ? shape[1] : 1;
  const bool infers = random.one_in(3);
  const auto numbers = [&](Domain domain) {
    const Shape own = random.one_in(60) ? Shape(channels + 1) : Shape(channels);
    return random_tensor(random, own, random.one_in(60) ? random_dtype(random) : call.dtype, domain);
  };
  call.inputs = {random_tensor(random, shape, call.dtype), random.one_in(3) ? Tensor() : numbers(Domain::any),
                 random.one_in(3) ? Tensor() : numbers(Domain::any)};
  const auto moment = [&](Domain domain) {
    return random_tensor(random, random.one_in(60) ? Shape(channels + 1) : Shape(channels), call.dtype, domain);
  };
  const Tensor mean = moment(Domain::any), variance = moment(Domain::positive);
  const double epsilon = random.one_in(30) ? -1 : random.pick({1e-5, 1e-2, 1.});
  FusedActivation activation;
  if (random.one_in(3)) {
    using Kind = FusedActivation::Kind;
    activation = {random.pick({Kind::relu, Kind::leaky_relu, Kind::sigmoid, Kind::tanh}),
                  random.one_in(20) ? -1. : 0.25};
  }
  call.text = fmt::format("batch_norm{} epsilon {} activation {} {}", infers ? "_inference" : "", epsilon,
                          static_cast<int>(activation.kind), activation.alpha);
  if (infers) call.text += "\n  mean " + describe(mean) + "\n  variance " + describe(variance);
  call.run = [=](auto in) {
    return infers ? batch_norm_inference(in[0], mean.to(in[0].dtype()), variance.to(in[0].dtype()), in[1], in[2],
                                         epsilon, activation)
                  : batch_norm(in[0], in[1], in[2], epsilon, nullptr, activation);
  };
  call.has_gradients = true;
  call.is_smooth =
      activation.kind != FusedActivation::Kind::relu && activation.kind != FusedActivation::Kind::leaky_relu;
  call.units = 2048;
  bool is_valid = is_floating(call.dtype) && (shape.rank() == 2 || shape.rank() == 4) && epsilon >= 0 &&
                  (activation.kind != FusedActivation::Kind::leaky_relu || activation.alpha >= 0);
  for (std::size_t i = 1; i < 3; ++i) {
    const Tensor& t = call.inputs[i];
    if (t.defined()) is_valid = is_valid && t.dtype() == call.dtype && t.shape() == Shape(channels);
  }
  if (infers) is_valid = is_valid && mean.shape() == Shape(channels) && variance.shape() == Shape(channels);
  if (!is_valid) return call;

  const Values x = read(call.inputs[0]);
  std::vector<Real> centre, factor, offset;
  for (std::int64_t c = 0; c < channels; ++c) {
    Real average = 0, squares = 0, count = 0;
    for_each_index(shape, [&](const Dims& at) {
      if (at[1] == c) average += x(at), count += 1;
    });
    average /= count;
    for_each_index(shape, [&](const Dims& at) {
      if (at[1] == c) squares += (x(at) - average) * (x(at) - average);
    });
    squares /= count;
    if (infers) average = read(mean)(Dims(c)), squares = read(variance)(Dims(c));
    const auto number = [&](const Tensor& t, Real otherwise) { return t.defined() ? read(t)(Dims(c)) : otherwise; };
    centre.push_back(average);
    factor.push_back(number(call.inputs[1], 1) / std::sqrt(squares + static_cast<Real>(epsilon)));
    offset.push_back(number(call.inputs[2], 0));
    // Next to no variance beside epsilon: derivatives are too large for differences.
    if (squares < Real{0.05L} && epsilon < 0.01) call.is_smooth = false, call.has_gradients = false;
  }
  call.expected = make_values(shape, [&](const Dims& at) {
    const auto c = static_cast<std::size_t>(at[1]);
    return activated((x(at) - centre[c]) * factor[c] + offset[c], activation);
  });
  for_each_index(shape, [&](const Dims& at) {
    const auto c = static_cast<std::size_t>(at[1]);
    call.expected->size.push_back((std::fabs(x(at)) + std::fabs(centre[c])) * std::fabs(factor[c]) +
                                  std::fabs(offset[c]));
  });
  return call;
}

}  // namespace dygrad::testing
