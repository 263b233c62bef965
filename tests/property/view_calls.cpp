// Ops that make views: axes, starts, stops and shapes of every kind.
#include <fmt/format.h>

#include <algorithm>

#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

/// The call with the values that `source(index)` finds in x for each index of the result.
template <class F>
void expect(Call& call, const Shape& shape, const F& source) {
  const Values x = read(call.inputs[0]);
  call.expected = make_values(shape, [&](const Dims& index) { return x(source(index)); });
}

Call start(Random& random, const Shape& shape) {
  Call call;
  call.dtype = random_dtype(random);
  call.inputs = {random_tensor(random, shape, call.dtype)};
  call.has_gradients = is_floating(call.dtype);
  return call;
}

Call slice_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  const std::int64_t extent = axis < 0 ? 3 : shape[axis];
  const std::int64_t first = random.wild(-extent, extent), stop = random.wild(-extent, extent);
  const std::int64_t step = random.one_in(2) ? 1 : random.wild(1, 4);
  call.text = fmt::format("slice axis {} start {} stop {} step {}", given, first, stop, step);
  call.run = [=](auto in) { return in[0].slice(given, first, stop, step); };
  if (axis < 0 || step < 1) return call;
  // As Python's: step by step, so that nothing overflows here.
  __extension__ using Wide = __int128;
  const auto clamp = [&](Wide i) { return std::clamp<Wide>(i < 0 ? i + extent : i, 0, extent); };
  std::vector<std::int64_t> chosen;
  for (Wide i = clamp(first); i < clamp(stop); i += step) chosen.push_back(static_cast<std::int64_t>(i));
  Shape result = shape;
  result[axis] = std::ssize(chosen);
  expect(call, result, [&](Dims index) {
    index[axis] = chosen[static_cast<std::size_t>(index[axis])];
    return index;
  });
  return call;
}

Call select_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  const std::int64_t extent = axis < 0 ? 3 : shape[axis];
  const std::int64_t index = random.wild(-extent, extent - 1);
  call.text = fmt::format("select axis {} index {}", given, index);
  call.run = [=](auto in) { return in[0].select(given, index); };
  if (axis < 0 || index < -extent || index >= extent) return call;
  Shape result = shape;
  result.erase(axis);
  expect(call, result, [&](Dims at) {
    at.insert(axis, index < 0 ? index + extent : index);
    return at;
  });
  return call;
}

Call transpose_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  const int a = random.axis(shape.rank()), b = random.axis(shape.rank());
  const int p = plain_axis(a, shape.rank(), true), q = plain_axis(b, shape.rank(), true);
  call.text = fmt::format("transpose {} {}", a, b);
  call.run = [=](auto in) { return in[0].transpose(a, b); };
  if (p < 0 || q < 0) return call;
  const auto turned = [&](Dims index) {
    if (index.rank() > 0) std::swap(index[p], index[q]);
    return index;
  };
  expect(call, turned(shape), turned);
  return call;
}

Call permute_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  Axes order;
  for (int i = 0; i < shape.rank(); ++i) order.insert(static_cast<int>(random.below(i + 1)), i);
  for (std::int64_t& axis : order)
    axis = random.one_in(30) ? random.extreme() : random.one_in(3) ? axis - shape.rank() : axis;
  if (random.one_in(20) && order.rank() > 0) order.erase(0);
  call.text = fmt::format("permute {}", order);
  call.run = [=](auto in) { return in[0].permute(order); };
  std::vector<int> seen(static_cast<std::size_t>(shape.rank()));
  Axes normal = order;
  for (std::int64_t& axis : normal) {
    axis = plain_axis(axis, shape.rank());
    if (axis < 0 || seen[static_cast<std::size_t>(axis)]++ > 0) return call;
  }
  if (order.rank() != shape.rank()) return call;
  Shape result = shape;
  for (int i = 0; i < order.rank(); ++i) result[i] = shape[static_cast<int>(normal[i])];
  expect(call, result, [&](const Dims& index) {
    Dims from = index;
    for (int i = 0; i < order.rank(); ++i) from[static_cast<int>(normal[i])] = index[i];
    return from;
  });
  return call;
}

Call reshape_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  std::int64_t rest = plain_count(shape);
  Shape wanted;
  for (int i = 0; i < 4 && rest > 1 && random.one_in(2); ++i) {
    for (const std::int64_t factor : {2, 3, 4, 5}) {
      if (rest % factor == 0 && wanted.rank() < 5 && random.one_in(2)) wanted.push_back(factor), rest /= factor;
    }
  }
  wanted.insert(static_cast<int>(random.below(wanted.rank() + 1)), rest);
  for (std::int64_t& extent : wanted) extent = random.one_in(6) ? -1 : random.one_in(40) ? random.extreme() : extent;
  if (random.one_in(20) && wanted.rank() < kMaxRank) wanted.push_back(random.wild(0, 2));
  call.text = fmt::format("reshape {}", wanted);
  call.run = [=](auto in) { return in[0].reshape(wanted); };
  Shape known = wanted;
  int open = -1;
  for (int i = 0; i < wanted.rank(); ++i) {
    if (wanted[i] == -1 && open < 0) open = i, known[i] = 1;
  }
  const std::int64_t count = plain_count(shape), product = plain_count(known);
  if (product < 0 || (open >= 0 ? product == 0 || count % product != 0 : product != count)) {
    call.is_unclear = count == 0;
    return call;
  }
  if (open >= 0) known[open] = count / product;
  const Values x = read(call.inputs[0]);
  call.expected = Values{known, x.at};
  return call;
}

Call flatten_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  const int a = random.axis(shape.rank()), b = random.axis(shape.rank());
  const int p = plain_axis(a, shape.rank(), true), q = plain_axis(b, shape.rank(), true);
  call.text = fmt::format("flatten {} {}", a, b);
  call.run = [=](auto in) { return in[0].flatten(a, b); };
  if (p < 0 || q < 0 || p > q) return call;
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > p && i <= q) result[p] *= shape[i];
    else result.push_back(shape[i]);
  }
  if (shape.rank() == 0) result.push_back(1);
  call.expected = Values{result, read(call.inputs[0]).at};
  return call;
}

Call squeeze_call(Random& random) {
  const bool adds = random.one_in(2);
  const Shape shape = random.shape(adds && !random.one_in(10) ? kMaxRank - 1 : kMaxRank);
  Call call = start(random, shape);
  const int rank = shape.rank() + (adds ? 1 : 0);
  const int given = random.axis(rank), axis = plain_axis(given, rank);
  call.text = fmt::format("{} {}", adds ? "unsqueeze" : "squeeze", given);
  call.run = [=](auto in) { return adds ? in[0].unsqueeze(given) : in[0].squeeze(given); };
  if (axis < 0 || rank > kMaxRank || (!adds && shape[axis] != 1)) return call;
  Shape result = shape;
  if (adds) result.insert(axis, 1);
  else result.erase(axis);
  call.expected = Values{result, read(call.inputs[0]).at};
  return call;
}

Call expand_call(Random& random) {
  Shape small = random.shape_of_rank(static_cast<int>(random.below(5)));
  for (std::int64_t& extent : small) extent = random.one_in(2) ? 1 : extent;
  Call call = start(random, small);
  Shape wanted = small;
  for (std::int64_t& extent : wanted) extent = extent == 1 && random.one_in(2) ? random.between(0, 3) : extent;
  while (wanted.rank() < kMaxRank && random.one_in(3)) wanted.insert(0, random.between(0, 3));
  for (std::int64_t& extent : wanted) extent = random.one_in(40) ? random.extreme() : extent;
  call.text = fmt::format("expand {}", wanted);
  call.run = [=](auto in) { return in[0].expand(wanted); };
  bool fits = plain_count(wanted) >= 0 && wanted.rank() >= small.rank();
  for (int i = 0; fits && i < small.rank(); ++i) {
    const std::int64_t to = wanted[wanted.rank() - small.rank() + i];
    fits = small[i] == to || small[i] == 1;
  }
  call.is_unclear = plain_count(wanted) < 0 && std::ranges::none_of(wanted, [](std::int64_t e) { return e < 0; });
  if (!fits) return call;
  if (plain_count(wanted) > 10000) {
    call.shape = wanted;
    call.may_refuse = true;
    return call;
  }
  expect(call, wanted, [&](const Dims& index) {
    Dims from = small;
    for (int i = 0; i < small.rank(); ++i) from[i] = small[i] == 1 ? 0 : index[index.rank() - small.rank() + i];
    return from;
  });
  return call;
}

Call split_call(Random& random) {
  const Shape shape = random.shape();
  Call call = start(random, shape);
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  const std::int64_t extent = axis < 0 ? 0 : shape[axis];
  std::vector<std::int64_t> sizes;
  const std::int64_t sections = random.wild(1, std::max<std::int64_t>(extent, 1));
  const bool is_even = random.one_in(2);
  if (is_even) {
    if (sections > 0 && sections <= std::max<std::int64_t>(extent, 100) && extent % sections == 0)
      sizes.assign(static_cast<std::size_t>(sections), extent / sections);
  } else {
    for (std::int64_t rest = extent; rest > 0; rest -= sizes.back()) sizes.push_back(random.between(0, rest));
    if (random.one_in(16)) sizes.push_back(random.extreme());
  }
  const std::size_t wanted = sizes.empty() ? 0 : static_cast<std::size_t>(random.below(std::ssize(sizes)));
  call.text = fmt::format("split axis {} {} {} section {}", given, is_even ? "sections" : "sizes",
                          is_even ? sections : std::ssize(sizes), wanted);
  call.run = [=](auto in) {
    const std::vector<Tensor> all = is_even ? split(in[0], sections, given) : split(in[0], sizes, given);
    return all.at(wanted);
  };
  std::int64_t total = 0, first = 0;
  bool is_valid = axis >= 0 && !sizes.empty();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > extent) is_valid = false;
    if (!is_valid) return call;
    if (i < wanted) first += sizes[i];
    total += sizes[i];
  }
  if (!is_valid || total != extent) {
    if (!is_even && sizes.empty() && extent == 0 && axis >= 0) call.run = [](auto in) { return in[0].select(99, 99); };
    return call;
  }
  Shape result = shape;
  result[axis] = sizes[wanted];
  expect(call, result, [&](Dims index) {
    index[axis] += first;
    return index;
  });
  return call;
}

}  // namespace

Call view_call(Random& random) {
  constexpr MakeCall kAll[] = {slice_call,   slice_call,   select_call,  transpose_call, permute_call,
                               reshape_call, flatten_call, squeeze_call, expand_call,    split_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
