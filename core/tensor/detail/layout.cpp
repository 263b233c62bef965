#include <dygrad/core/tensor/detail/layout.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

namespace dygrad::kernel {

namespace {

/// First byte, and the one after the last, of a tensor that is not empty.
std::pair<const std::byte*, const std::byte*> reach(const Tensor& x) {
  std::int64_t first = x.impl()->offset, last = first;
  for (int i = 0; i < x.rank(); ++i) {
    const std::int64_t extent = x.shape()[i];
    if (extent > 1) (x.strides()[i] < 0 ? first : last) += (extent - 1) * x.strides()[i];
  }
  const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
  const std::byte* data = x.impl()->storage->data();
  return {data + first * size, data + (last + 1) * size};
}

/// Element for element in one place, so that an elementwise function may run over it.
bool coincide(const Tensor& a, const Tensor& b) {
  return reach(a) == reach(b) && a.shape() == b.shape() && size_of(a.dtype()) == size_of(b.dtype()) &&
         is_same_layout(a.shape(), a.strides(), b.strides());
}

/// Every element's place, for strides that do not suffice.
std::vector<std::int64_t> places(const Tensor& x) {
  std::vector<std::int64_t> result{0};
  for (int i = 0; i < x.rank(); ++i) {
    const std::size_t count = result.size();
    for (std::int64_t k = 1; k < x.shape()[i]; ++k) {
      for (std::size_t j = 0; j < count; ++j) result.push_back(result[j] + k * x.strides()[i]);
    }
  }
  return result;
}

}  // namespace

bool is_same_layout(const Shape& shape, const Strides& a, const Strides& b) {
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] > 1 && a[i] != b[i]) return false;
  }
  return true;
}

bool overlaps(const Tensor& a, const Tensor& b) {
  if (a.num_elements() == 0 || b.num_elements() == 0) return false;
  const auto [a_begin, a_end] = reach(a);
  const auto [b_begin, b_end] = reach(b);
  return a_begin < b_end && b_begin < a_end && !coincide(a, b);
}

bool has_shared_elements(const Tensor& x) {
  if (x.num_elements() <= 1 || x.memory_format()) return false;
  // Each step usually leads beyond all that shorter ones reach.
  bool is_beyond = true;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == 1) continue;
    const std::int64_t step = std::abs(x.strides()[i]);
    if (step == 0) return true;
    std::int64_t reached = 0;
    for (int k = 0; k < x.rank(); ++k) {
      const std::int64_t other = std::abs(x.strides()[k]);
      if (k != i && x.shape()[k] > 1 && (other < step || (other == step && k < i)))
        reached += other * (x.shape()[k] - 1);
    }
    is_beyond = is_beyond && step > reached;
  }
  if (is_beyond) return false;
  std::vector<std::int64_t> all = places(x);
  std::ranges::sort(all);
  return std::ranges::adjacent_find(all) != all.end();
}

Range resolve_range(std::int64_t extent, std::int64_t start, std::int64_t stop) {
  const auto clamp = [extent](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + extent : i, 0, extent); };
  const std::int64_t first = clamp(start);
  return {first, std::max(clamp(stop), first)};
}

}  // namespace dygrad::kernel
