// Ops with index tensors.
#include <fmt/format.h>

#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

/// int64 tensor of any layout with entries mostly in [-extent, extent).
Tensor random_index(Random& random, const Shape& shape, std::int64_t extent) {
  const Tensor index = random_tensor(random, shape, random.one_in(40) ? float32 : int64);
  if (index.dtype() != int64) return index;
  const bool is_wild = random.one_in(10);
  const std::int64_t limit = std::max<std::int64_t>(extent, 1);
  for_each_index(shape, [&](const Dims& at) {
    std::int64_t place = 0;
    for (int i = 0; i < shape.rank(); ++i) place += at[i] * index.strides()[i];
    index.mutable_data<std::int64_t>()[place] =
        is_wild && random.one_in(8) ? random.wild(-limit, limit - 1) : random.between(-limit, limit - 1);
  });
  return index;
}

/// Every entry counted from the front, or nothing if one does not fit.
std::optional<Values> normal_index(const Tensor& index, std::int64_t extent) {
  if (index.dtype() != int64) return std::nullopt;
  Values values = read(index);
  for (Real& i : values.at) {
    const auto count = static_cast<Real>(extent);
    if (i < -count || i >= count) return std::nullopt;
    if (i < 0) i += count;
  }
  return values;
}

Values zero_sums(const Shape& shape) {
  Values sums{shape, std::vector<Real>(static_cast<std::size_t>(plain_count(shape)))};
  sums.size = sums.at;
  return sums;
}
void add(Values& sums, const Dims& index, Real term) {
  const auto place = static_cast<std::size_t>(place_in(sums.shape, index));
  sums.at[place] += term;
  sums.size[place] += std::fabs(term);
}

Call slices_call(Random& random) {
  const bool adds = random.one_in(2);
  const Shape shape = random.shape();
  Call call;
  call.dtype = adds && !random.one_in(20) ? random_float(random) : random_dtype(random);
  call.has_gradients = is_floating(call.dtype);
  call.units = adds ? 80 : 0;
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  const std::int64_t own = axis < 0 ? 1 : shape[axis];
  const std::int64_t extent = adds ? random.wild(0, 4) : own;
  Shape list{adds ? own : random.one_in(12) ? random.between(60, 200) : random.between(0, 5)};
  if (random.one_in(30)) list[0] += 1;
  if (random.one_in(30)) list.insert(0, 1);
  const Tensor index = random_index(random, list, std::min<std::int64_t>(extent, 1000));
  call.inputs = {random_tensor(random, shape, call.dtype), index};
  call.text = fmt::format("{} axis {} extent {}", adds ? "index_add" : "index_select", given, extent);
  call.run = [=](auto in) { return adds ? index_add(in[0], given, in[1], extent) : index_select(in[0], given, in[1]); };
  if (axis < 0 || index.rank() != 1 || extent < 0) return call;
  const auto places = normal_index(index, extent);
  Shape result = shape;
  result[axis] = adds ? extent : index.num_elements();
  if (!places || (adds && (index.num_elements() != own || !is_floating(call.dtype)))) return call;
  if (plain_count(result) < 0 || plain_count(result) > 100000) {
    call.is_unclear = true;
    return call;
  }
  const Values x = read(call.inputs[0]);
  if (adds) {
    Values sums = zero_sums(result);
    for_each_index(shape, [&](Dims at) {
      const Real term = x(at);
      at[axis] = static_cast<std::int64_t>(places->at[static_cast<std::size_t>(at[axis])]);
      add(sums, at, term);
    });
    call.expected = sums;
  } else {
    call.expected = make_values(result, [&](Dims at) {
      at[axis] = static_cast<std::int64_t>(places->at[static_cast<std::size_t>(at[axis])]);
      return x(at);
    });
  }
  return call;
}

Call elements_call(Random& random) {
  const bool adds = random.one_in(2);
  Shape shape = random.shape();
  Call call;
  call.dtype = adds && !random.one_in(20) ? random_float(random) : random_dtype(random);
  call.has_gradients = is_floating(call.dtype);
  call.units = adds ? 80 : 0;
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  if (adds && axis >= 0 && random.one_in(10) && plain_count(shape) < 20) shape[axis] = 150;
  const std::int64_t extent = adds ? random.wild(0, 4) : axis < 0 ? 1 : shape[axis];
  Shape of_index = shape;
  if (!adds && axis >= 0) of_index[axis] = random.one_in(12) ? 100 : random.between(0, 4);
  if (!adds && axis >= 0 && plain_count(of_index) > 2000) of_index[axis] = 1;
  if (random.one_in(30) && shape.rank() > 0) of_index[0] += 1;
  if (random.one_in(30) && shape.rank() > 0) of_index.erase(0);
  const Tensor index = random_index(random, of_index, std::min<std::int64_t>(extent, 1000));
  call.inputs = {random_tensor(random, shape, call.dtype), index};
  call.text = fmt::format("{} axis {} extent {}", adds ? "scatter_add" : "gather", given, extent);
  call.run = [=](auto in) { return adds ? scatter_add(in[0], given, in[1], extent) : gather(in[0], given, in[1]); };
  if (axis < 0 || extent < 0 || of_index.rank() != shape.rank() || (adds && !is_floating(call.dtype))) return call;
  Shape others = of_index;
  others[axis] = shape[axis];
  const auto places = normal_index(index, extent);
  if (others != shape || (adds && of_index != shape) || !places) return call;
  const Values x = read(call.inputs[0]);
  Shape result = of_index;
  if (adds) result[axis] = extent;
  if (plain_count(result) < 0 || plain_count(result) > 100000) {
    call.is_unclear = true;
    return call;
  }
  if (adds) {
    Values sums = zero_sums(result);
    for_each_index(shape, [&](Dims at) {
      const Real term = x(at);
      at[axis] = static_cast<std::int64_t>((*places)(at));
      add(sums, at, term);
    });
    call.expected = sums;
  } else {
    call.expected = make_values(result, [&](Dims at) {
      at[axis] = static_cast<std::int64_t>((*places)(at));
      return x(at);
    });
  }
  return call;
}

Call one_hot_call(Random& random) {
  const Shape shape = random.shape(random.one_in(10) ? kMaxRank : 4);
  const std::int64_t depth = random.wild(0, 5);
  const Tensor index = random_index(random, shape, std::min<std::int64_t>(depth, 1000));
  Call call;
  call.dtype = random_dtype(random);
  call.inputs = {index};
  call.text = fmt::format("one_hot depth {} {}", depth, call.dtype);
  call.run = [depth, dtype = call.dtype](auto in) { return one_hot(in[0], depth, dtype); };
  const auto places = normal_index(index, depth);
  const Values given = read(index);
  if (std::any_of(given.at.begin(), given.at.end(), [](Real i) { return i < 0; })) return call;  // no class
  if (depth < 0 || shape.rank() == kMaxRank || !places) return call;
  Shape result = shape;
  result.push_back(depth);
  if (plain_count(result) < 0 || plain_count(result) > 100000) {
    call.is_unclear = true;
    return call;
  }
  call.expected = make_values(result, [&](Dims at) {
    const std::int64_t last = at.back();
    at.erase(at.rank() - 1);
    return (*places)(at) == static_cast<Real>(last);
  });
  return call;
}

}  // namespace

Call index_call(Random& random) {
  constexpr MakeCall kAll[] = {slices_call, slices_call, elements_call, elements_call, one_hot_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
