#include <dygrad/tests/property/tensors.h>

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include <dygrad/core/tensor/format.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::testing {

namespace {

/// The k-th value of a domain, for the tensor of that number.
double value_of(std::int64_t k, Domain domain, int number) {
  const double v = static_cast<double>(k) / 16 + 0.0171 + 0.0113 * number;  // k from -48 to 47
  switch (domain) {
    case Domain::any: return v;
    case Domain::positive: return std::abs(v) + 0.3;
    case Domain::unit: return v / 4;
    case Domain::above_one: return std::abs(v) + 1.2;
    case Domain::flags: return static_cast<double>(k & 1);
    case Domain::counts: return static_cast<double>(k);
  }
  return v;
}

void fill_memory(Random& random, const Tensor& memory, Domain domain) {
  for (std::int64_t i = 0; i < memory.num_elements(); ++i) {
    const std::int64_t k = random.between(-48, 47);
    const double v = value_of(k, domain, static_cast<int>(i % 3));
    switch (memory.dtype()) {
      case DType::float32: memory.mutable_data<float>()[i] = static_cast<float>(v); break;
      case DType::float64: memory.mutable_data<double>()[i] = v; break;
      case DType::int64: memory.mutable_data<std::int64_t>()[i] = domain == Domain::flags ? k & 1 : k; break;
      case DType::uint8: memory.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(k & 255); break;
      case DType::boolean: memory.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(k & 1); break;
    }
  }
}

/// Dense strides in a random order of dimensions.
Strides transposed_strides(Random& random, const Shape& shape) {
  std::array<int, kMaxRank> order{};
  std::iota(order.begin(), order.end(), 0);
  for (int i = shape.rank() - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(random.below(i + 1))]);
  Strides strides = shape;
  std::int64_t stride = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    const int dim = order[static_cast<std::size_t>(i)];
    strides[dim] = stride;
    stride *= std::max<std::int64_t>(shape[dim], 1);
  }
  return strides;
}

}  // namespace

Tensor random_tensor(Random& random, const Shape& shape, DType dtype, Domain domain) {
  Strides strides = dense_strides(shape, random.one_in(3) ? MemoryFormat::channels_last : MemoryFormat::row_major);
  const std::int64_t kind = random.below(10);
  if (kind >= 3 && kind < 6) strides = transposed_strides(random, shape);
  for (int i = 0; i < shape.rank(); ++i) {
    if (kind == 5 || kind == 6) strides[i] *= random.between(1, 2);            // a window, or overlapping
    if (kind == 7 && random.one_in(2)) strides[i] = 0;                         // repeated
    if (kind == 8) strides[i] = random.between(0, 3);                          // overlapping
    if (kind >= 4 && kind != 7 && random.one_in(4)) strides[i] = -strides[i];  // back to front
    if (shape[i] == 1 && random.one_in(4))
      strides[i] = random.pick<std::int64_t>({0, 1, -5, 77, std::int64_t{1} << 40});
  }
  std::int64_t first = 0, last = 0;
  bool is_empty = false;
  for (int i = 0; i < shape.rank(); ++i) {
    is_empty = is_empty || shape[i] == 0;
    if (shape[i] > 1) (strides[i] < 0 ? first : last) += (shape[i] - 1) * strides[i];
  }
  if (is_empty) first = last = 0;
  const std::int64_t margin = random.one_in(2) ? 0 : random.between(0, 5);
  const Tensor memory = Tensor::empty({last - first + 1 + 2 * margin}, dtype);
  fill_memory(random, memory, domain);
  return view::strided(memory, shape, strides, margin - first);
}

Tensor distinct_tensor(Random& random, const Shape& shape, Domain domain, int number) {
  std::vector<std::int64_t> order(96);
  std::iota(order.begin(), order.end(), -48);
  if (domain != Domain::any && domain != Domain::unit) std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i) + 1))]);
  Tensor result = Tensor::empty(shape, float64);
  std::size_t i = 0;
  const bool has_sign = domain == Domain::any || domain == Domain::unit;
  for (double& v : result.write<double>()) {
    const std::int64_t k = order[i++ % order.size()];
    v = value_of(has_sign ? k : k % 48, domain, number);
  }
  return result;
}

DType random_float(Random& random) { return random.one_in(2) ? float32 : float64; }
DType random_dtype(Random& random) { return random.pick({float32, float64, float32, float64, int64, uint8, boolean}); }

std::string describe(const Tensor& x) {
  if (!x.defined()) return "undefined";
  return fmt::format("{} {} strides {}", x.dtype(), x.shape(), x.strides());
}

}  // namespace dygrad::testing
