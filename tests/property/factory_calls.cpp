// Tensors from values, from rules and from random numbers.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

/// Mostly valid; extreme extents must be refused, or be beside an extent of 0.
Shape wild_shape(Random& random) {
  Shape shape = random.shape();
  for (std::int64_t& extent : shape) extent = random.one_in(30) ? random.extreme() : extent;
  return shape;
}

bool is_possible(Call& call, const Shape& shape) {
  const std::int64_t count = plain_count(shape);
  call.is_unclear = count < 0 && std::ranges::none_of(shape, [](std::int64_t e) { return e < 0; });
  return count >= 0 && count < 100000;
}

Call fill_call(Random& random) {
  Call call;
  const Shape shape = wild_shape(random);
  call.dtype = random_dtype(random);
  const double value = random.pick({0., 1., -1., 2.5, 300., 1e30});
  const std::int64_t kind = random.below(4);
  call.text = fmt::format("full, zeros or ones {}: {} {} {}", kind, shape, value, call.dtype);
  call.run = [=, dtype = call.dtype](auto) {
    return kind == 0 ? zeros(shape, dtype) : kind == 1 ? ones(shape, dtype) : full(shape, value, dtype);
  };
  if (!is_possible(call, shape)) return call;
  Real v = kind == 0 ? 0 : kind == 1 ? 1 : static_cast<Real>(value);
  switch (call.dtype) {
    case DType::float32: v = static_cast<Real>(static_cast<float>(v)); break;
    case DType::float64: break;
    case DType::int64:
      v = v > 0x1p62 ? static_cast<Real>(std::numeric_limits<std::int64_t>::max()) : std::trunc(v);
      break;
    case DType::uint8: v = std::trunc(std::clamp<Real>(v, 0, 255)); break;
    case DType::boolean: v = v != 0; break;
  }
  call.expected = make_values(shape, [&](const Dims&) { return v; });
  return call;
}

Call like_call(Random& random) {
  Call call;
  call.dtype = random_dtype(random);
  call.inputs = {random_tensor(random, random.shape(), call.dtype)};
  const bool is_one = random.one_in(2);
  call.text = is_one ? "ones_like" : "zeros_like";
  call.run = [is_one](auto in) { return is_one ? ones_like(in[0]) : zeros_like(in[0]); };
  call.expected = make_values(call.inputs[0].shape(), [&](const Dims&) { return is_one; });
  return call;
}

Call eye_call(Random& random) {
  Call call;
  call.dtype = random_dtype(random);
  const std::int64_t rows = random.wild(0, 5), columns = random.wild(-1, 5);
  call.text = fmt::format("eye {} {} {}", rows, columns, call.dtype);
  call.run = [=, dtype = call.dtype](auto) { return eye(rows, columns, dtype); };
  const Shape shape(rows, columns == -1 ? rows : columns);
  if (!is_possible(call, shape)) return call;
  call.expected = make_values(shape, [](const Dims& i) { return i[0] == i[1]; });
  return call;
}

Call range_call(Random& random) {
  Call call;
  const bool is_spaced = random.one_in(2);
  if (is_spaced) {
    call.dtype = random_float(random);
    const std::int64_t count = random.wild(0, 9);
    const double from = static_cast<double>(random.between(-9, 9)), to = static_cast<double>(random.between(-9, 9));
    call.text = fmt::format("linspace {} {} {}", from, to, count);
    call.run = [=, dtype = call.dtype](auto) { return linspace(from, to, count, dtype); };
    if (!is_possible(call, Shape(count))) return call;
    call.units = 4;
    call.expected = make_values(Shape(count), [&](const Dims& i) {
      return static_cast<Real>(from) + static_cast<Real>(to - from) * static_cast<Real>(i[0]) /
                                           static_cast<Real>(std::max<std::int64_t>(count - 1, 1));
    });
    call.expected->size.assign(call.expected->at.size(), 9);
    return call;
  }
  call.dtype = random.pick({float32, float64, int64});
  const std::int64_t first = random.between(-9, 9), step = random.one_in(20) ? 0 : random.between(-3, 3),
                     stop = random.one_in(20) ? random.extreme() : random.between(-9, 9);
  call.text = fmt::format("arange {} {} {}", first, stop, step);
  call.run = [=, dtype = call.dtype](auto) {
    return arange(static_cast<double>(first), static_cast<double>(stop), static_cast<double>(step), dtype);
  };
  __extension__ using Wide = __int128;
  const Wide way = Wide{stop} - first;
  if (step == 0 || (way > 0) != (step > 0)) {
    call.is_unclear = way == 0 && step != 0;
    if (!call.is_unclear) call.may_refuse = true;
    if (call.is_unclear) call.expected = Values{Shape(0), {}};
    return call;
  }
  const Wide count = (way + step + (step > 0 ? -1 : 1)) / step;
  if (count > 100000) return call;
  call.expected =
      make_values(Shape(static_cast<std::int64_t>(count)), [&](const Dims& i) { return first + i[0] * step; });
  return call;
}

Call random_call(Random& random) {
  Call call;
  call.dtype = random.one_in(20) ? random_dtype(random) : random_float(random);
  const Shape shape = wild_shape(random);
  const std::int64_t kind = random.below(6);
  const std::int64_t low = random.wild(-4, 4), high = random.wild(-4, 4);
  const double a = static_cast<double>(low), b = static_cast<double>(high);
  constexpr const char* kNames[] = {"uniform", "normal", "truncated_normal", "bernoulli", "randint", "permutation"};
  call.text = fmt::format("{} {} {} {} {}", kNames[kind], shape, low, high, call.dtype);
  // What is drawn is not known, but where it lies.
  call.run = [=, dtype = call.dtype](auto) {
    const RandomOptions options{.dtype = dtype};
    Real least = -std::numeric_limits<Real>::infinity(), most = -least;
    Tensor y;
    switch (kind) {
      case 0: y = uniform(shape, a, b, options), least = a, most = b; break;
      case 1: y = normal(shape, a, b, options); break;
      case 2: y = truncated_normal(shape, a, b, options), least = a - 2 * b, most = a + 2 * b; break;
      case 3: y = bernoulli(shape, a, options), least = 0, most = 1; break;
      case 4: y = randint(shape, low, high), least = static_cast<Real>(low), most = static_cast<Real>(high); break;
      default: y = permutation(low), least = 0, most = static_cast<Real>(low); break;
    }
    for (const Real v : read(y).at) {
      const Real slack = std::fabs(v) * Real{1e-6};
      if (!(v >= least - slack && v <= most + slack)) throw std::logic_error("a random number is out of range");
    }
    return y;
  };
  if (kind == 4) call.dtype = int64;
  if (kind == 5) {
    call.dtype = int64;
    if (is_possible(call, Shape(low))) call.shape = Shape(low);
    return call;
  }
  if (!is_possible(call, shape)) return call;
  if (kind != 4 && kind != 3 && !is_floating(call.dtype)) return call;
  const bool is_valid = kind == 0                ? a <= b
                        : kind == 1 || kind == 2 ? b >= 0
                        : kind == 3              ? a >= 0 && a <= 1
                                                 : low < high;
  if (is_valid) call.shape = shape;
  return call;
}

}  // namespace

Call factory_call(Random& random) {
  constexpr MakeCall kAll[] = {fill_call, like_call, eye_call, range_call, random_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
