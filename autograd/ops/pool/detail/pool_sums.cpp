#include <dygrad/autograd/ops/pool/detail/pool_sums.h>

#include <algorithm>

#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/simd/accurate_sum.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::detail {

namespace {

// Note [Sums of large windows]
// A sum over a rectangle is one along W, then one along H: far fewer additions where windows overlap. Each is either a
// reduction for every place of the result, pairwise, or, where these would be many and short, one addition of whole
// tensors for every place in a window; Partial sums of kMaxPlainTerms tensors each (at most 128) are added at the end.
constexpr std::int64_t kFewReductions = 256;
constexpr std::int64_t kLongReduction = 8192;  // elements

/// `results` is where the reductions' results go.
bool prefers_reductions(const WindowAxis& axis, const Tensor& results) {
  const std::int64_t count = results.shape()[axis.dim];
  return count <= kFewReductions ||
         axis.size >= kLongReduction / std::max<std::int64_t>(results.num_elements() / count, 1);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }
std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

/// to[.., i, ..] = sum of from[.., begin .. end, ..] for the i-th range.
template <class RangeOf>
void reduce_ranges(const Tensor& from, const Tensor& to, int dim, const RangeOf& range_of) {
  for (std::int64_t i = 0; i < to.shape()[dim]; ++i) {
    const kernel::Range range = range_of(i);
    const Tensor part = view::slice(from, dim, range.start, std::max(range.start, range.stop));
    kernel::copy(kernel::reduce_sum(part, {dim}), view::slice(to, dim, i, i + 1));
  }
}

void add_to(const Tensor& to, const Tensor& from) {
  dispatch_float(to.dtype(), "avg_pool2d",
                 [&]<class T>() { kernel::map_into<T, T, T>([](T a, T b) { return a + b; }, to, to, from); });
}

/// For places [begin, end) in a window: adds the elements there to their windows' sums, or sums to their elements.
template <bool kToWindows>
void add_taps(const WindowAxis& axis, const Tensor& elements, const Tensor& windows, std::int64_t begin,
              std::int64_t end) {
  const std::int64_t extent = elements.shape()[axis.dim], count = windows.shape()[axis.dim];
  for (std::int64_t k = begin; k < end; ++k) {
    const std::int64_t first = std::max<std::int64_t>(ceil_div(axis.padding - k, axis.stride), 0);
    const std::int64_t last = std::min(floor_div(extent - 1 + axis.padding - k, axis.stride), count - 1);
    if (first > last) continue;
    const std::int64_t start = first * axis.stride - axis.padding + k;
    const Tensor own = view::slice(elements, axis.dim, start, start + (last - first) * axis.stride + 1, axis.stride);
    const Tensor sums = view::slice(windows, axis.dim, first, last + 1);
    kToWindows ? add_to(sums, own) : add_to(own, sums);
  }
}

template <bool kToWindows>
void sum_taps(const WindowAxis& axis, const Tensor& elements, const Tensor& windows) {
  const Tensor& total = kToWindows ? windows : elements;
  kernel::fill(total, 0);
  if (axis.size <= kernel::kMaxPlainTerms) return add_taps<kToWindows>(axis, elements, windows, 0, axis.size);
  const Tensor part = kernel::empty_like(total, total.dtype());
  for (std::int64_t k = 0; k < axis.size; k += kernel::kMaxPlainTerms) {
    const std::int64_t end = std::min(k + kernel::kMaxPlainTerms, axis.size);
    kernel::fill(part, 0);
    if constexpr (kToWindows) add_taps<true>(axis, elements, part, k, end);
    else add_taps<false>(axis, part, windows, k, end);
    add_to(total, part);
  }
}

}  // namespace

void sum_windows(const WindowAxis& axis, const Tensor& x, const Tensor& y) {
  if (!prefers_reductions(axis, y)) return sum_taps<true>(axis, x, y);
  const std::int64_t extent = x.shape()[axis.dim];
  reduce_ranges(x, y, axis.dim, [&](std::int64_t o) {
    const std::int64_t begin = o * axis.stride - axis.padding;
    return kernel::Range{std::clamp<std::int64_t>(begin, 0, extent),
                         std::clamp<std::int64_t>(begin + axis.size, 0, extent)};
  });
}

void sum_covering_windows(const WindowAxis& axis, const Tensor& y, const Tensor& x) {
  if (!prefers_reductions(axis, x)) return sum_taps<false>(axis, x, y);
  const std::int64_t count = y.shape()[axis.dim];
  reduce_ranges(y, x, axis.dim, [&](std::int64_t i) {
    const std::int64_t begin = ceil_div(i + axis.padding - axis.size + 1, axis.stride);
    const std::int64_t end = floor_div(i + axis.padding, axis.stride) + 1;
    return kernel::Range{std::clamp<std::int64_t>(begin, 0, count), std::clamp<std::int64_t>(end, 0, count)};
  });
}

}  // namespace dygrad::detail
