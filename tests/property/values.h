// Plain tensors in long double: what a call is compared with. They share no code with the library's kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::testing {

using Real = long double;

/// Elements in row-major order. `size` is what each one's error is measured by, such as the sum of the magnitudes of
/// its terms; empty: its own magnitude.
struct Values {
  Shape shape;
  std::vector<Real> at;
  std::vector<Real> size{};

  std::int64_t count() const { return static_cast<std::int64_t>(at.size()); }
  Real operator()(const Dims& index) const;
};

/// Number of elements, in plain arithmetic; -1 if it is negative, or more than 2^60.
std::int64_t plain_count(const Shape& shape);
std::int64_t place_in(const Shape& shape, const Dims& index);

/// Calls f(index) in row-major order.
template <class F>
void for_each_index(const Shape& shape, const F& f) {
  for (std::int64_t extent : shape) {
    if (extent == 0) return;
  }
  Dims index = Dims::filled(shape.rank(), 0);
  for (;;) {
    f(static_cast<const Dims&>(index));
    int d = shape.rank() - 1;
    for (; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
    if (d < 0) return;
  }
}

/// f(index) for every element.
template <class F>
Values make_values(const Shape& shape, const F& f) {
  Values result{shape, {}};
  for_each_index(shape, [&](const Dims& index) { result.at.push_back(static_cast<Real>(f(index))); });
  return result;
}

/// A sum, and the sum of its terms' magnitudes.
struct Sum {
  Real value = 0, size = 0;
  void add(Real term) {
    value += term;
    size += std::fabs(term);
  }
};
/// f(index) is a Sum.
template <class F>
Values make_sums(const Shape& shape, const F& f) {
  Values result{shape, {}};
  for_each_index(shape, [&](const Dims& index) {
    const Sum sum = f(index);
    result.at.push_back(sum.value);
    result.size.push_back(sum.size);
  });
  return result;
}

/// Walks the tensor's strides by hand.
Values read(const Tensor& x);

}  // namespace dygrad::testing
