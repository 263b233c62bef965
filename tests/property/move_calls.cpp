// Ops that copy elements into tensors of other shapes, dtypes and orders.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

Call concat_call(Random& random) {
  const bool stacks = random.one_in(3);
  const Shape shape = random.shape(stacks && !random.one_in(10) ? kMaxRank - 1 : kMaxRank);
  const int rank = shape.rank() + (stacks ? 1 : 0);
  const int given = random.axis(rank), axis = plain_axis(given, rank);
  Call call;
  call.dtype = random_dtype(random);
  call.has_gradients = is_floating(call.dtype);
  call.text = fmt::format("{} axis {}", stacks ? "stack" : "concat", given);
  call.run = [=](std::span<const Tensor> in) { return stacks ? stack(in, given) : concat(in, given); };
  const std::int64_t count = random.one_in(30) ? 0 : random.between(1, 3);
  bool is_valid = axis >= 0 && rank > 0 && rank <= kMaxRank && count > 0;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Shape own = shape;
    if (!stacks && axis >= 0) own[axis] = random.between(0, 3);
    if (i > 0 && random.one_in(30) && own.rank() > 0) own[0] += 1;
    if (i > 0 && random.one_in(60) && own.rank() > 0) own.erase(0);
    const DType dtype = random.one_in(30) ? random_dtype(random) : call.dtype;
    call.inputs.push_back(random_tensor(random, own, dtype));
    is_valid = is_valid && dtype == call.inputs[0].dtype() && own.rank() == shape.rank();
    if (!is_valid) continue;
    Shape others = own;
    if (!stacks) total += own[axis], others[axis] = call.inputs[0].shape()[axis];
    is_valid = others == call.inputs[0].shape();
  }
  if (!is_valid) return call;
  call.dtype = call.inputs[0].dtype();
  call.has_gradients = is_floating(call.dtype);
  Shape result = call.inputs[0].shape();
  if (stacks) result.insert(axis, count);
  else result[axis] = total;
  std::vector<Values> parts;
  for (const Tensor& x : call.inputs) parts.push_back(read(x));
  call.expected = make_values(result, [&](Dims index) {
    std::size_t i = 0;
    if (stacks) {
      i = static_cast<std::size_t>(index[axis]);
      index.erase(axis);
    } else {
      while (index[axis] >= parts[i].shape[axis]) index[axis] -= parts[i++].shape[axis];
    }
    return parts[i](index);
  });
  return call;
}

Call pad_call(Random& random) {
  const Shape shape = random.shape();
  Call call;
  call.dtype = random_dtype(random);
  call.has_gradients = is_floating(call.dtype);
  call.inputs = {random_tensor(random, shape, call.dtype)};
  std::vector<PadAmount> amounts;
  const std::int64_t given = random.one_in(20) ? shape.rank() + 1 : random.between(0, shape.rank());
  const int skipped = shape.rank() - static_cast<int>(given);
  call.text = "pad";
  __extension__ using Wide = __int128;
  Shape result = shape;
  std::array<Wide, kMaxRank> before{};
  bool is_valid = skipped >= 0;
  for (int i = 0; i < static_cast<int>(given); ++i) {
    PadAmount amount{random.between(-2, 2), random.between(-2, 2)};
    if (random.one_in(12)) amount = {random.extreme(), random.extreme()};
    if (random.one_in(24)) amount = {random.extreme(), 0};
    if (random.one_in(24) && amount.before != std::numeric_limits<std::int64_t>::min()) amount.after = -amount.before;
    amounts.push_back(amount);
    call.text += fmt::format(" ({}, {})", amount.before, amount.after);
    if (!is_valid) continue;
    const Wide extent = Wide{shape[skipped + i]} + amount.before + amount.after;
    is_valid = extent >= 0 && extent < 5000;
    call.may_refuse = call.may_refuse || amount.before > Wide{1} << 40;  // sums on the way leave 64 bits
    before[static_cast<std::size_t>(skipped + i)] = amount.before;
    if (is_valid) result[skipped + i] = static_cast<std::int64_t>(extent);
  }
  call.run = [amounts](auto in) { return pad(in[0], amounts, 1); };
  if (is_valid && (plain_count(result) < 0 || plain_count(result) > 100000)) {  // too many to compare, or for memory
    call.shape = result;
    call.may_refuse = true;
    return call;
  }
  if (!is_valid) {
    call.is_unclear = skipped >= 0 && std::ranges::any_of(amounts, [](const PadAmount& a) {
                        return std::max(a.before, a.after) > 1000;
                      });
    return call;
  }
  const Values x = read(call.inputs[0]);
  call.expected = make_values(result, [&](const Dims& index) -> Real {
    Dims from = index;
    for (int i = 0; i < shape.rank(); ++i) {
      const Wide at = Wide{index[i]} - before[static_cast<std::size_t>(i)];
      if (at < 0 || at >= shape[i]) return 1;
      from[i] = static_cast<std::int64_t>(at);
    }
    return x(from);
  });
  return call;
}

Real converted(Real v, DType to) {
  switch (to) {
    case DType::float32: return static_cast<Real>(static_cast<float>(v));
    case DType::float64: return v;
    case DType::int64: return std::trunc(v);
    case DType::uint8: return std::trunc(v < 0 ? Real{0} : v > 255 ? Real{255} : v);
    case DType::boolean: return v != 0;
  }
  return v;
}

Call copy_call(Random& random) {
  const Shape shape = random.shape();
  const DType dtype = random_dtype(random);
  Call call;
  call.inputs = {random_tensor(random, shape, dtype)};
  call.dtype = dtype;
  call.has_gradients = is_floating(dtype);
  const Values x = read(call.inputs[0]);
  call.expected = x;
  const std::int64_t kind = random.below(4);
  const MemoryFormat format = random.pick({MemoryFormat::row_major, MemoryFormat::channels_last});
  if (kind == 0) {
    call.dtype = random_dtype(random);
    call.text = fmt::format("to {}", call.dtype);
    call.run = [to = call.dtype](auto in) { return in[0].to(to); };
    const bool wraps = dtype == int64 && call.dtype == uint8;  // as C++ converts integers
    call.expected = make_values(shape, [&](const Dims& i) {
      return wraps ? static_cast<Real>(static_cast<std::uint8_t>(static_cast<std::int64_t>(x(i))))
                   : converted(x(i), call.dtype);
    });
    call.has_gradients = is_floating(dtype) && is_floating(call.dtype);
    call.is_smooth = dtype == float64 && call.dtype == float64;
  } else if (kind == 1) {
    call.text = "clone";
    call.run = [](auto in) { return in[0].clone(); };
  } else if (kind == 2) {
    call.text = fmt::format("contiguous {}", static_cast<int>(format));
    call.run = [format](auto in) { return in[0].contiguous(format); };
  } else {
    call.text = "detach";
    call.run = [](auto in) { return in[0].detach(); };
    call.has_gradients = false;
  }
  return call;
}

Call sum_to_call(Random& random) {
  const Shape shape = random.shape();
  Call call;
  call.dtype = random.one_in(12) ? random_dtype(random) : random_float(random);
  call.inputs = {random_tensor(random, shape, call.dtype)};
  call.has_gradients = true;
  call.units = 64;
  Shape wanted;
  for (int i = static_cast<int>(random.below(shape.rank() + 1)); i < shape.rank(); ++i)
    wanted.push_back(random.one_in(2) ? 1 : random.one_in(30) ? random.wild(0, 3) : shape[i]);
  call.text = fmt::format("sum_to {}", wanted);
  call.run = [wanted](auto in) { return sum_to(in[0], wanted); };
  const int missing = shape.rank() - wanted.rank();
  for (int i = 0; i < wanted.rank(); ++i) {
    if (wanted[i] != 1 && wanted[i] != shape[missing + i]) return call;
  }
  if (!is_floating(call.dtype)) return call;
  const Values x = read(call.inputs[0]);
  Values sums{wanted, std::vector<Real>(static_cast<std::size_t>(plain_count(wanted)))};
  sums.size = sums.at;
  for_each_index(shape, [&](const Dims& index) {
    Dims to = wanted;
    for (int i = 0; i < wanted.rank(); ++i) to[i] = wanted[i] == 1 ? 0 : index[missing + i];
    const auto place = static_cast<std::size_t>(place_in(wanted, to));
    sums.at[place] += x(index);
    sums.size[place] += std::fabs(x(index));
  });
  call.expected = sums;
  return call;
}

}  // namespace

Call move_call(Random& random) {
  constexpr MakeCall kAll[] = {concat_call, pad_call, pad_call, copy_call, sum_to_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
