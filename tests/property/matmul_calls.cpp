// Matrix products.
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

Shape batch_of(const Shape& shape) {
  Shape batch;
  for (int i = 0; i + 2 < shape.rank(); ++i) batch.push_back(shape[i]);
  return batch;
}

/// numpy's rule; nothing if they do not broadcast.
std::optional<Shape> common(const Shape& a, const Shape& b) {
  Shape result = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  for (int i = 0; i < other.rank(); ++i) {
    std::int64_t& extent = result[result.rank() - other.rank() + i];
    if (extent != other[i] && extent != 1 && other[i] != 1) return std::nullopt;
    if (extent == 1) extent = other[i];
  }
  return result;
}

Dims operand_index(const Dims& batch, const Shape& shape, std::int64_t row, std::int64_t column) {
  Dims index = shape;
  for (int i = 0; i + 2 < shape.rank(); ++i)
    index[i] = shape[i] == 1 ? 0 : batch[batch.rank() - (shape.rank() - 2) + i];
  index[shape.rank() - 2] = row;
  index[shape.rank() - 1] = column;
  return index;
}

}  // namespace

Call matmul_call(Random& random) {
  Call call;
  call.dtype = random.one_in(24) ? random_dtype(random) : random_float(random);
  const std::int64_t most = random.one_in(6) ? 20 : 4;
  const auto extent = [&] { return random.one_in(30) ? 0 : random.between(1, most); };
  std::int64_t m = extent(), n = extent(), k = random.one_in(12) ? random.between(20, 90) : extent();
  Shape a = random.shape_of_rank(static_cast<int>(random.below(random.one_in(4) ? 5 : 2)), 3), b = a;
  for (std::int64_t& each : b) each = random.one_in(3) ? 1 : each;
  while (b.rank() > 0 && random.one_in(3)) b.erase(0);
  if (random.one_in(2)) std::swap(a, b);
  if (!random.one_in(8)) a.push_back(m);
  a.push_back(k);
  b.push_back(random.one_in(40) ? k + 1 : k);
  if (!random.one_in(8)) b.push_back(n);
  if (random.one_in(60)) a = {};
  const DType other = random.one_in(40) ? random_dtype(random) : call.dtype;
  call.inputs = {random_tensor(random, a, call.dtype), random_tensor(random, b, other)};
  call.text = "matmul";
  call.run = [](auto in) { return in[0].matmul(in[1]); };
  call.has_gradients = true;
  call.units = 256;
  const bool is_row = a.rank() == 1, is_column = b.rank() == 1;
  if (a.rank() == 0 || b.rank() == 0 || call.dtype != other || !is_floating(call.dtype)) return call;
  if (a.back() != b[is_column ? 0 : b.rank() - 2]) return call;
  k = a.back();
  Values x = read(call.inputs[0]), y = read(call.inputs[1]);
  if (is_row) x.shape = Shape(1, k);
  if (is_column) y.shape = Shape(k, 1);
  const auto batch = common(batch_of(x.shape), batch_of(y.shape));
  if (!batch) return call;
  m = x.shape[x.shape.rank() - 2];
  n = y.shape.back();
  Shape full = *batch;
  full.push_back(m);
  full.push_back(n);
  call.expected = make_sums(full, [&](const Dims& index) {
    Sum sum;
    for (std::int64_t i = 0; i < k; ++i) {
      sum.add(x(operand_index(batch_of(index), x.shape, index[index.rank() - 2], i)) *
              y(operand_index(batch_of(index), y.shape, i, index.back())));
    }
    return sum;
  });
  Shape& shape = call.expected->shape;
  if (is_column) shape.erase(shape.rank() - 1);
  if (is_row) shape.erase(shape.rank() - (is_column ? 1 : 2));
  return call;
}

}  // namespace dygrad::testing
