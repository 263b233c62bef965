// Pools.
#include <fmt/format.h>

#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

Call pool_call(Random& random) {
  Call call;
  call.dtype = random.one_in(30) ? random_dtype(random) : random_float(random);
  Shape shape = random.shape_of_rank(4, 3);
  for (int i = 2; i < 4; ++i) shape[i] = random.one_in(40) ? 0 : random.between(1, random.one_in(6) ? 14 : 6);
  if (random.one_in(40)) shape.erase(0);
  call.inputs = {random_tensor(random, shape, call.dtype)};
  struct {
    std::array<std::int64_t, 2> size, stride, padding;
    bool ceil_mode, exclusive;
  } options{};
  options.ceil_mode = random.one_in(2);
  options.exclusive = random.one_in(2);
  bool is_extreme = false;
  for (std::size_t i = 0; i < 2; ++i) {
    options.size[i] = random.one_in(8) ? random.wild(1, 20) : random.between(1, 4);
    options.stride[i] = random.one_in(8) ? random.wild(1, 6) : random.between(1, 3);
    options.padding[i] =
        random.one_in(2) ? 0
        : random.one_in(8)
            ? random.wild(0, 4)
            : random.between(0, std::max<std::int64_t>(std::min<std::int64_t>(options.size[i], 9) - 1, 0));
    is_extreme = is_extreme || options.size[i] > 1000 || options.stride[i] > 1000 || options.padding[i] > 1000;
  }
  const bool takes_most = random.one_in(2);
  call.text =
      fmt::format("{} size {} {} stride {} {} padding {} {} ceil {} exclusive {}",
                  takes_most ? "max_pool2d" : "avg_pool2d", options.size[0], options.size[1], options.stride[0],
                  options.stride[1], options.padding[0], options.padding[1], options.ceil_mode, options.exclusive);
  const auto pair = [](const std::array<std::int64_t, 2>& both) { return Pair(both[0], both[1]); };
  const Pool2DOptions op{.size = pair(options.size),
                         .stride = pair(options.stride),
                         .padding = pair(options.padding),
                         .ceil_mode = options.ceil_mode,
                         .exclusive = options.exclusive};
  call.run = [=](auto in) { return takes_most ? max_pool2d(in[0], op) : avg_pool2d(in[0], op); };
  call.has_gradients = true;
  call.may_refuse = is_extreme;
  call.units = takes_most ? 0 : 80;
  if (shape.rank() != 4 || !is_floating(call.dtype)) return call;
  Shape result = shape;
  for (int d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    const std::int64_t size = options.size[i], stride = options.stride[i], padding = options.padding[i];
    if (size < 1 || stride < 1 || padding < 0 || padding >= size) return call;
    __extension__ using Wide = __int128;
    const Wide room = Wide{shape[2 + d]} + 2 * Wide{padding} - size;
    if (room <= (options.ceil_mode ? -stride : -1) || shape[2 + d] == 0) return call;
    Wide count = room < 0 ? 1 : room / stride + 1;
    if (options.ceil_mode && room > 0 && room % stride != 0 && count * stride < Wide{shape[2 + d]} + padding) ++count;
    if (count > 2000) {
      call.is_unclear = true;
      return call;
    }
    result[2 + d] = static_cast<std::int64_t>(count);
  }
  if (plain_count(result) > 20000) {
    call.shape = result;
    return call;
  }
  const Values x = read(call.inputs[0]);
  call.expected = make_sums(result, [&](const Dims& at) {
    Sum sum;
    Real most = -std::numeric_limits<Real>::infinity();
    std::array<std::int64_t, 2> begin{}, end{}, counted{};
    for (std::size_t i = 0; i < 2; ++i) {
      const int d = 2 + static_cast<int>(i);
      const std::int64_t first = at[d] * options.stride[i] - options.padding[i];
      begin[i] = std::max<std::int64_t>(first, 0);
      end[i] = std::min(first + options.size[i], shape[d]);
      counted[i] = options.exclusive ? end[i] - begin[i]
                                     : std::min(first + options.size[i], shape[d] + options.padding[i]) - first;
    }
    for (std::int64_t h = begin[0]; h < end[0]; ++h) {
      for (std::int64_t w = begin[1]; w < end[1]; ++w) {
        const Real v = x({at[0], at[1], h, w});
        sum.add(v);
        most = std::max(most, v);
      }
    }
    if (takes_most) return Sum{most, 0};
    const Real divisor = static_cast<Real>(counted[0]) * static_cast<Real>(counted[1]);
    return Sum{sum.value / divisor, sum.size / divisor};
  });
  return call;
}

}  // namespace dygrad::testing
