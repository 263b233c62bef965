// Losses.
#include <fmt/format.h>

#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

/// Losses of elements, reduced as asked.
Values reduced(const Values& losses, Reduction reduction, Real count) {
  if (reduction == Reduction::none) return losses;
  Sum sum;
  for (Real loss : losses.at) sum.add(loss);
  if (reduction == Reduction::mean) sum = {sum.value / count, sum.size / count};
  return {{}, {sum.value}, {sum.size}};
}

Call pair_call(Random& random) {
  Call call;
  call.dtype = random.one_in(30) ? random_dtype(random) : random_float(random);
  const DType other = random.one_in(40) ? random_dtype(random) : call.dtype;
  const Shape shape = random.shape();
  Shape of_target = shape;
  if (random.one_in(40) && shape.rank() > 0) of_target[0] = of_target[0] == 1 ? 2 : 1;
  call.inputs = {random_tensor(random, shape, call.dtype), random_tensor(random, of_target, other)};
  call.has_gradients = true;
  call.units = 128;
  const Reduction reduction = random.pick({Reduction::mean, Reduction::sum, Reduction::none});
  const double beta = random.one_in(12) ? random.pick({0., -1.}) : static_cast<double>(random.between(1, 16)) / 8;
  const std::int64_t kind = random.below(5);
  constexpr const char* kNames[] = {"mse_loss", "l1_loss", "smooth_l1_loss", "bce_with_logits", "square_error_cost"};
  call.text = fmt::format("{} reduction {} beta {}", kNames[kind], static_cast<int>(reduction), beta);
  call.run = [=](auto in) {
    switch (kind) {
      case 0: return mse_loss(in[0], in[1], reduction);
      case 1: return l1_loss(in[0], in[1], reduction);
      case 2: return smooth_l1_loss(in[0], in[1], reduction, beta);
      case 3: return bce_with_logits(in[0], in[1], reduction);
      default: return square_error_cost(in[0], in[1]);
    }
  };
  if (call.dtype != other || !is_floating(call.dtype) || shape != of_target || (kind == 2 && beta <= 0)) return call;
  const Values x = read(call.inputs[0]), y = read(call.inputs[1]);
  const Real b = static_cast<Real>(beta);
  Values losses = make_values(shape, [&](const Dims& at) -> Real {
    const Real u = x(at), v = y(at), d = std::fabs(u - v);
    switch (kind) {
      case 1: return d;
      case 2: return d < b ? d * d / (2 * b) : d - b / 2;
      case 3: return std::max(u, Real{0}) - u * v + std::log1p(std::exp(-std::fabs(u)));
      default: return d * d;
    }
  });
  Values result = reduced(losses, kind == 4 ? Reduction::none : reduction, static_cast<Real>(losses.count()));
  if (result.size.empty()) {
    for (Real v : result.at) result.size.push_back(std::fabs(v) + 20);
  } else {
    for (Real& size : result.size) size += 20;
  }
  call.expected = result;
  return call;
}

Call cross_entropy_call(Random& random) {
  Call call;
  call.dtype = random.one_in(30) ? random_dtype(random) : random_float(random);
  Shape shape = random.shape(4);
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  const std::int64_t classes = axis < 0 ? 3 : shape[axis];
  const bool is_soft = random.one_in(4);
  CrossEntropyOptions options{.axis = given,
                              .soft_label = is_soft,
                              .reduction = random.pick({Reduction::mean, Reduction::sum, Reduction::none})};
  if (!is_soft && random.one_in(2)) options.ignore_index = random.pick<std::int64_t>({-100, 0, 1, 255});
  Shape without = shape, kept = shape;
  if (axis >= 0) without.erase(axis), kept[axis] = 1;
  Shape of_label = is_soft ? shape : random.one_in(2) ? kept : without;
  if (random.one_in(40) && of_label.rank() > 0) of_label[0] += 1;
  const DType label_type = random.one_in(40) ? random_dtype(random) : is_soft ? call.dtype : int64;
  const Tensor label = random_tensor(random, of_label, label_type, Domain::positive);
  if (label_type == int64) {
    for_each_index(of_label, [&](const Dims& at) {
      std::int64_t place = 0;
      for (int i = 0; i < at.rank(); ++i) place += at[i] * label.strides()[i];
      std::int64_t& own = label.mutable_data<std::int64_t>()[place];
      own = random.one_in(200)                         ? random.extreme()
            : random.one_in(6) && options.ignore_index ? *options.ignore_index
                                                       : random.below(std::max<std::int64_t>(classes, 1));
    });
  }
  call.inputs = {random_tensor(random, shape, call.dtype), label};
  call.domains = {Domain::any, Domain::positive};
  call.has_gradients = true;
  call.units = 256;
  call.text = fmt::format("softmax_with_cross_entropy axis {} soft {} ignore {} reduction {}", given, is_soft,
                          options.ignore_index.value_or(-12345), static_cast<int>(options.reduction));
  call.run = [options](auto in) { return softmax_with_cross_entropy(in[0], in[1], options); };
  if (axis < 0 || !is_floating(call.dtype)) return call;
  if (is_soft ? label_type != call.dtype || of_label != shape
              : label_type != int64 || (of_label != kept && of_label != without))
    return call;
  const Values x = read(call.inputs[0]);
  Values y = read(label);
  if (!is_soft) y.shape = without;
  Real count = 0;
  bool is_valid = true;
  Values losses = make_sums(without, [&](const Dims& at) {
    Dims line = at;
    line.insert(axis, 0);
    const auto logit = [&](std::int64_t c) {
      line[axis] = c;
      return x(line);
    };
    Real exps = 0;
    for (std::int64_t c = 0; c < classes; ++c) exps += std::exp(logit(c));
    Sum sum;
    if (is_soft) {
      count += 1;
      for (std::int64_t c = 0; c < classes; ++c) {
        const Real loss = std::log(exps) - logit(c), share = y(line);
        sum.add(loss * share);
        sum.size += std::fabs(share) * 8;
      }
    } else {
      const Real own = y(at);
      if (options.ignore_index && own == static_cast<Real>(*options.ignore_index)) return sum;
      count += 1;
      if (own < 0 || own >= static_cast<Real>(classes)) {
        is_valid = false;
        return sum;
      }
      sum.add(std::log(exps) - logit(static_cast<std::int64_t>(own)));
      sum.size += 8;
    }
    return sum;
  });
  if (!is_valid) return call;
  Sum all;
  for (std::size_t i = 0; i < losses.at.size(); ++i) all.add(losses.at[i]), all.size += losses.size[i];
  call.expected = losses;
  if (options.reduction == Reduction::sum) call.expected = Values{{}, {all.value}, {all.size}};
  if (options.reduction == Reduction::mean) call.expected = Values{{}, {all.value / count}, {all.size / count}};
  if (count == 0) call.has_gradients = false;  // 0 / 0
  return call;
}

}  // namespace

Call loss_call(Random& random) { return random.one_in(2) ? pair_call(random) : cross_entropy_call(random); }

}  // namespace dygrad::testing
