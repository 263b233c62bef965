// Convolutions and transposed convolutions: strides, paddings, dilations, groups, sizes of every kind.
#include <fmt/format.h>

#include <array>

#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

__extension__ using Wide = __int128;

struct Geometry {
  std::array<std::int64_t, 2> stride{1, 1}, dilation{1, 1}, before{0, 0}, after{0, 0};
  std::int64_t groups = 1;
  bool is_extreme = false;

  explicit Geometry(Random& random) {
    const auto wild = [&](std::int64_t low, std::int64_t high) {
      const std::int64_t v = random.one_in(60)   ? random.extreme()
                             : random.one_in(80) ? low - 1
                                                 : random.between(low, high);
      is_extreme = is_extreme || v > 1000;
      return v;
    };
    for (std::size_t i = 0; i < 2; ++i) {
      stride[i] = wild(1, random.one_in(3) ? 4 : 2);
      dilation[i] = random.one_in(3) ? wild(1, 3) : 1;
      before[i] = random.one_in(2) ? wild(0, 3) : 0;
      after[i] = random.one_in(2) ? before[i] : wild(0, 2);
    }
    groups = random.one_in(3) ? wild(1, 3) : 1;
  }
  Padding2D padding() const { return {before[0], after[0], before[1], after[1]}; }
  bool is_valid() const {
    for (std::size_t i = 0; i < 2; ++i) {
      if (stride[i] < 1 || dilation[i] < 1 || before[i] < 0 || after[i] < 0) return false;
    }
    return groups >= 1;
  }
  std::string text() const {
    return fmt::format("stride {} {} dilation {} {} padding {} {} {} {} groups {}", stride[0], stride[1], dilation[0],
                       dilation[1], before[0], after[0], before[1], after[1], groups);
  }
};

Call start(Random& random, const Shape& x, const Shape& w, std::int64_t outputs) {
  Call call;
  call.dtype = random.one_in(60) ? random_dtype(random) : random_float(random);
  const DType other = random.one_in(60) ? random_dtype(random) : call.dtype;
  call.inputs = {random_tensor(random, x, call.dtype), random_tensor(random, w, other), Tensor()};
  if (random.one_in(2) && outputs >= 0 && outputs < 1000)
    call.inputs[2] = random_tensor(random, Shape(random.one_in(40) ? outputs + 1 : outputs), call.dtype);
  call.has_gradients = true;
  call.units = 512;
  return call;
}

bool fits(const Call& call, std::int64_t outputs) {
  const Tensor &x = call.inputs[0], &w = call.inputs[1], &b = call.inputs[2];
  if (x.dtype() != w.dtype() || !is_floating(x.dtype())) return false;
  if (b.defined() && (b.shape() != Shape(outputs) || b.dtype() != x.dtype())) return false;
  if (x.rank() != 4 || w.rank() != 4) return false;
  for (int i = 0; i < 4; ++i) {
    if (w.shape()[i] < 1 || (i > 0 && x.shape()[i] < 1)) return false;
  }
  return true;
}

/// Extents, with their bound; sizes up to a few thousand products.
Shape images(Random& random, std::int64_t channels) {
  const auto extent = [&] { return random.one_in(60) ? 0 : random.between(1, random.one_in(4) ? 9 : 5); };
  return {random.one_in(30) ? 0 : random.between(1, 2), channels, extent(), extent()};
}

Sum with_bias(Sum sum, const Tensor& b, std::int64_t channel) {
  if (b.defined()) sum.add(read(b)(Dims(channel)));
  return sum;
}

Call forward_call(Random& random) {
  const Geometry g(random);
  const std::int64_t per_group = random.between(1, 3), groups = g.groups > 0 && g.groups < 9 ? g.groups : 1;
  const std::int64_t outputs = groups * random.between(1, 3) + (random.one_in(50) ? 1 : 0);
  const Shape x = images(random, per_group * groups + (random.one_in(50) ? 1 : 0));
  const Shape w{outputs, per_group, random.between(random.one_in(60) ? 0 : 1, 4), random.between(1, 4)};
  Call call = start(random, x, w, outputs);
  call.text = "conv2d " + g.text();
  call.may_refuse = g.is_extreme;
  call.run = [g](auto in) {
    return conv2d(in[0], in[1], in[2],
                  {.stride = {g.stride[0], g.stride[1]},
                   .padding = g.padding(),
                   .dilation = {g.dilation[0], g.dilation[1]},
                   .groups = g.groups});
  };
  if (!g.is_valid() || !fits(call, outputs) || x[1] % g.groups != 0 || outputs % g.groups != 0 ||
      w[1] != x[1] / g.groups)
    return call;
  Shape y{x[0], outputs, 0, 0};
  for (int d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    const Wide room = Wide{x[2 + d]} + g.before[i] + g.after[i] - Wide{g.dilation[i]} * (w[2 + d] - 1) - 1;
    if (room < 0) return call;
    const Wide extent = room / g.stride[i] + 1;
    if (extent > 2000) {  // there may be memory for it, or none
      call.is_unclear = true;
      return call;
    }
    y[2 + d] = static_cast<std::int64_t>(extent);
  }
  if (plain_count(y) > 20000) {
    call.expected = Values{y, {}};
    call.shape = y;
    return call;
  }
  const Values image = read(call.inputs[0]), kernel = read(call.inputs[1]);
  call.expected = make_sums(y, [&](const Dims& at) {
    Sum sum;
    const std::int64_t group = at[1] / (outputs / g.groups);
    for_each_index(Shape(w[1], w[2], w[3]), [&](const Dims& k) {
      const Wide h = Wide{at[2]} * g.stride[0] - g.before[0] + Wide{k[1]} * g.dilation[0];
      const Wide v = Wide{at[3]} * g.stride[1] - g.before[1] + Wide{k[2]} * g.dilation[1];
      if (h < 0 || h >= x[2] || v < 0 || v >= x[3]) return;
      sum.add(image({at[0], group * w[1] + k[0], static_cast<std::int64_t>(h), static_cast<std::int64_t>(v)}) *
              kernel({at[1], k[0], k[1], k[2]}));
    });
    return with_bias(sum, call.inputs[2], at[1]);
  });
  // Transformed kernels (Winograd) round sums of neighbours, too: errors are measured by the largest.
  Real largest = 1;
  for (Real size : call.expected->size) largest = std::max(largest, size);
  call.expected->size.assign(call.expected->size.size(), largest);
  return call;
}

Call transposed_call(Random& random) {
  const Geometry g(random);
  const std::int64_t per_group = random.between(1, 3), groups = g.groups > 0 && g.groups < 9 ? g.groups : 1;
  const Shape x = images(random, groups * random.between(1, 3) + (random.one_in(50) ? 1 : 0));
  const Shape w{random.one_in(50) ? x[1] + 1 : x[1], per_group, random.between(1, 4), random.between(1, 4)};
  const std::int64_t outputs = per_group * groups;
  Call call = start(random, x, w, outputs);
  std::array<std::int64_t, 2> extra{0, 0};
  for (std::int64_t& each : extra) each = random.one_in(3) ? random.wild(0, 2) : 0;
  const bool by_size = random.one_in(3);
  std::array<std::int64_t, 2> natural{}, size{};
  bool is_valid = g.is_valid() && fits(call, outputs) && w[0] == x[1] && x[1] % g.groups == 0 && groups == g.groups;
  Shape y{x[0], outputs, 0, 0};
  bool is_huge = false;
  for (int d = 0; d < 2 && is_valid; ++d) {
    const auto i = static_cast<std::size_t>(d);
    const Wide extent =
        (Wide{x[2 + d]} - 1) * g.stride[i] + Wide{g.dilation[i]} * (w[2 + d] - 1) + 1 - g.before[i] - g.after[i];
    is_huge = is_huge || extent > 2000 || extent < -100000;
    if (is_huge) break;
    natural[i] = static_cast<std::int64_t>(extent);
    size[i] = natural[i] + (by_size ? extra[i] > 1000 ? 1000 : extra[i] : 0);
  }
  call.text = fmt::format("conv2d_transpose {} {} {} {}", g.text(), by_size ? "output_size" : "output_padding",
                          by_size ? size[0] : extra[0], by_size ? size[1] : extra[1]);
  call.may_refuse = g.is_extreme || extra[0] > 1000 || extra[1] > 1000;
  call.run = [=](auto in) {
    Conv2DTransposeOptions options{.stride = {g.stride[0], g.stride[1]},
                                   .padding = g.padding(),
                                   .dilation = {g.dilation[0], g.dilation[1]},
                                   .groups = g.groups};
    if (by_size) options.output_size = {size[0], size[1]};
    else options.output_padding = {extra[0], extra[1]};
    return conv2d_transpose(in[0], in[1], in[2], options);
  };
  if (is_huge) {
    call.is_unclear = true;
    return call;
  }
  for (int d = 0; d < 2 && is_valid; ++d) {
    const auto i = static_cast<std::size_t>(d);
    const std::int64_t limit = by_size ? g.stride[i] : std::max(g.stride[i], g.dilation[i]);
    const std::int64_t added = by_size ? size[i] - natural[i] : extra[i];
    is_valid = added >= 0 && added < limit;
    if (is_valid && added > 100000) {  // likewise
      call.is_unclear = true;
      return call;
    }
    y[2 + d] = is_valid ? natural[i] + added : 0;
    is_valid = is_valid && y[2 + d] >= 1;
  }
  if (!is_valid) return call;
  if (plain_count(y) > 20000) {
    call.shape = y;
    call.is_unclear = true;
    if (y[2] > 3000 || y[3] > 3000) call.shape.reset();
    return call;
  }
  Values result{y, std::vector<Real>(static_cast<std::size_t>(plain_count(y)))};
  result.size = result.at;
  const auto add = [&](const Dims& at, Real term) {
    const auto place = static_cast<std::size_t>(place_in(y, at));
    result.at[place] += term;
    result.size[place] += std::fabs(term);
  };
  const Values image = read(call.inputs[0]), kernel = read(call.inputs[1]);
  const std::int64_t channels_each = x[1] / g.groups;
  for_each_index(x, [&](const Dims& at) {
    for_each_index(Shape(w[1], w[2], w[3]), [&](const Dims& k) {
      const Wide h = Wide{at[2]} * g.stride[0] - g.before[0] + Wide{k[1]} * g.dilation[0];
      const Wide v = Wide{at[3]} * g.stride[1] - g.before[1] + Wide{k[2]} * g.dilation[1];
      if (h < 0 || h >= y[2] || v < 0 || v >= y[3]) return;
      add({at[0], at[1] / channels_each * w[1] + k[0], static_cast<std::int64_t>(h), static_cast<std::int64_t>(v)},
          image(at) * kernel({at[1], k[0], k[1], k[2]}));
    });
  });
  if (call.inputs[2].defined()) {
    const Values b = read(call.inputs[2]);
    for_each_index(y, [&](const Dims& at) { add(at, b(Dims(at[1]))); });
  }
  Real largest = 1;
  for (Real each : result.size) largest = std::max(largest, each);
  result.size.assign(result.size.size(), largest);
  call.expected = result;
  return call;
}

}  // namespace

Call convolution_call(Random& random) { return random.one_in(2) ? forward_call(random) : transposed_call(random); }

}  // namespace dygrad::testing
