// Kernels that look at whole lines along one axis: softmax and its relatives. For the .cpp files of autograd/ops.
//
// Note [Blocks of lines]
// Kernels get lines by the block, dense in one of two ways: many lines whose corresponding elements are neighbours
// (channels of a row-major image), so that loops run across the lines, or one line of neighbours (classes in the last
// dimension). Short lines, and lines that are neither, are copied into a block of the first kind, in the L1 cache.
// The two kinds round differently, so the tensor's shape and strides choose, not how many lines a thread was given.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <dygrad/core/kernels/reduction_kernels.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/kernels/strided_pack.h>
#include <dygrad/core/simd/accurate_sum.h>
#include <dygrad/core/simd/vector_math.h>
#include <dygrad/core/simd/vectorize.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::kernel {

/// Element i of line j is at data[i * step + j].
template <class T>
struct LineBlock {
  T* data;
  std::int64_t length, lines, step;
  bool is_along = false;  // one line of neighbours, with step 1, where all blocks of the tensor are such
};

inline constexpr std::int64_t kBlockLines = 64;
inline constexpr std::int64_t kBlockElements = 4096;
inline constexpr std::int64_t kBlockPart = 1024;  // elements of a long line whose sum is put together in its own dtype
inline constexpr std::int64_t kAddedRows = 64;    // of a block, before they are added to those before
inline constexpr std::int64_t kLongLine = 32;     // elements; shorter ones are worth copying

/// The tensor with only the first index along the axis.
inline Tensor first_slice(const Tensor& x, int axis) {
  Shape shape = x.shape();
  shape[axis] = 1;
  return view::strided(x, shape, x.strides(), x.impl()->offset);
}

/// Calls f(blocks of x, block of y, at, loop) for blocks of corresponding lines along the axis; f writes the one of y.
/// y may be null, and then so is its block. `per_line` are tensors with extent 1 at the axis: the first of the block's
/// lines has its number at offset at[N + 1 + k] in per_line[k], the next ones loop.inner_stride(N + 1 + k) further.
template <class T, std::size_t N, class F>
void for_each_block(int axis, const std::array<const Tensor*, N>& x, const Tensor* y,
                    std::initializer_list<const Tensor*> per_line, const F& f) {
  if (x[0]->num_elements() == 0) return;
  const std::array<const Tensor*, N + 1> tensors = [&] {
    std::array<const Tensor*, N + 1> all{};
    std::ranges::copy(x, all.begin());
    all[N] = y ? y : x[0];
    return all;
  }();
  std::array<Tensor, N + 1> firsts;
  std::array<const Tensor*, StridedLoop::kMaxOperands> starts{};
  bool is_along = x[0]->shape()[axis] >= kLongLine;
  for (std::size_t k = 0; k <= N; ++k) {
    firsts[k] = first_slice(*tensors[k], axis);
    starts[k] = &firsts[k];
    is_along = is_along && tensors[k]->strides()[axis] == 1;
  }
  std::ranges::copy(per_line, starts.begin() + N + 1);
  const StridedLoop loop(std::span<const Tensor* const>(starts).first(N + 1 + per_line.size()));

  const std::int64_t length = x[0]->shape()[axis];
  bool is_across = true;
  for (int k = 0; k <= static_cast<int>(N); ++k) is_across = is_across && loop.inner_stride(k) == 1;
  const bool is_single_line = x[0]->num_elements() == length;
  const std::int64_t at_once = is_along ? 1 : std::clamp<std::int64_t>(kBlockElements / length, 1, kBlockLines);
  loop.run(
      [&](const StridedLoop::Offsets& start, std::int64_t lines) {
        const bool is_dense = is_along || (is_across && (lines >= 8 || length == 1));
        const auto room = static_cast<std::size_t>(is_dense ? 0 : length * std::min(at_once, lines));
        std::array<std::vector<T>, N + 1> copies;
        for (std::size_t k = 0; k < N + (y ? 1 : 0); ++k) copies[k].resize(room);
        StridedLoop::Offsets at = start;
        for (std::int64_t line = 0; line < lines; line += at_once) {
          const std::int64_t count = std::min(at_once, lines - line);
          const auto strided = [&](std::size_t k) {
            return StridedBlock{reinterpret_cast<std::byte*>(const_cast<T*>(tensors[k]->template data<T>()) + at[k]),
                                sizeof(T),
                                length,
                                count,
                                tensors[k]->strides()[axis],
                                loop.inner_stride(static_cast<int>(k))};
          };
          const auto block = [&]<class U>(std::size_t k, U* own) {
            return is_dense ? LineBlock<U>{own, length, count, tensors[k]->strides()[axis], is_along}
                            : LineBlock<U>{copies[k].data(), length, count, count, is_single_line};
          };
          std::array<LineBlock<const T>, N> in;
          for (std::size_t k = 0; k < N; ++k) {
            if (!is_dense) pack(strided(k), reinterpret_cast<std::byte*>(copies[k].data()));
            in[k] = block(k, tensors[k]->template data<T>() + at[k]);
          }
          f(in, block(N, y ? y->mutable_data<T>() + at[N] : nullptr), at, loop);
          if (y && !is_dense) unpack(reinterpret_cast<const std::byte*>(copies[N].data()), strided(N));
          for (std::size_t k = 0; k < N + 1 + per_line.size(); ++k)
            at[k] += count * loop.inner_stride(static_cast<int>(k));
        }
      },
      std::max<std::int64_t>(kElementwiseGrain / 8 / length, 1));
}

/// The same with one x, whose block f gets.
template <class T, class F>
void for_each_block(int axis, const Tensor& x, const Tensor* y, std::initializer_list<const Tensor*> per_line,
                    const F& f) {
  for_each_block<T>(
      axis, std::array{&x}, y, per_line,
      [&f](const auto& in, const auto& out, const auto& at, const auto& loop) { f(in[0], out, at, loop); });
}

/// y(i, j) = f(x(i, j), number[j]).
template <class T, class F>
void map_lines(const LineBlock<const T>& x, const LineBlock<T>& y, const T* number, const F& f) {
  vectorize([=] {
    if (x.lines == 1 && x.step == 1 && y.step == 1) {
      const T own = *number;
      DYGRAD_IVDEP
      for (std::int64_t i = 0; i < x.length; ++i) y.data[i] = f(x.data[i], own);
      return;
    }
    for (std::int64_t i = 0; i < x.length; ++i) {
      const T* from = x.data + i * x.step;
      T* to = y.data + i * y.step;
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < x.lines; ++j) to[j] = f(from[j], number[j]);
    }
  });
}

/// v - largest; 0 for the largest itself, even if that is infinite.
template <class T>
T below_largest(T v, T largest) {
  return v == largest ? 0 : v - largest;
}

/// Sum of term(0), ..., term(length - 1), in blocks of kBlockPart that are each summed in T. Call it inside
/// vectorize().
template <class T, class Term>
[[gnu::always_inline]] inline double sum_of_parts(std::int64_t length, const Term& term) {
  AccurateSum<double> parts;
  for (std::int64_t begin = 0; begin < length; begin += kBlockPart) {
    const auto from_here = [&](std::int64_t i) { return term(begin + i); };
    parts.add(static_cast<double>(detail::fold_line<Add, T>(std::min(kBlockPart, length - begin), from_here)));
  }
  return parts.value();
}

template <class T, class Term>
double blocked_sum(std::int64_t length, const Term& term) {
  double sum = 0;
  vectorize([&] { sum = sum_of_parts<T>(length, term); });
  return sum;
}

/// sums[j] = sum over i of f(x(i, j), p(i, j), number[j]), with the error bound of ExpSums. Call it inside vectorize().
template <class T, class F>
[[gnu::always_inline]] inline void sum_lines(const LineBlock<const T>& x, const LineBlock<const T>& p, const T* number,
                                             T* sums, const F& f) {
  if (x.is_along) {
    const T *const from = x.data, *const weight = p.data, own = *number;
    sums[0] = static_cast<T>(sum_of_parts<T>(x.length, [=](std::int64_t i) { return f(from[i], weight[i], own); }));
    return;
  }
  const std::int64_t lines = x.lines;
  const auto add_rows = [&](std::int64_t begin, std::int64_t end, T* to) {
    for (std::int64_t j = 0; j < lines; ++j) to[j] = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const T *const from = x.data + i * x.step, *const weight = p.data + i * p.step;
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < lines; ++j) to[j] += f(from[j], weight[j], number[j]);
    }
  };
  if (x.length <= kAddedRows) return add_rows(0, x.length, sums);
  std::array<AccurateSum<double>, static_cast<std::size_t>(kBlockLines)> totals;
  alignas(64) std::array<T, static_cast<std::size_t>(kBlockLines)> part;
  for (std::int64_t begin = 0; begin < x.length; begin += kAddedRows) {
    add_rows(begin, std::min(begin + kAddedRows, x.length), part.data());
    for (std::size_t j = 0; j < static_cast<std::size_t>(lines); ++j) totals[j].add(part[j]);
  }
  for (std::size_t j = 0; j < static_cast<std::size_t>(lines); ++j) sums[j] = static_cast<T>(totals[j].value());
}

/// The largest element of each line of a block, and the sum of exp(x - largest), in float64 and blocked: its error is
/// that of the sum of one part of a line, about 64 roundings, whatever the length. Where the largest is infinity, its
/// term is 1 and the others are 0.
template <class T>
struct ExpSums {
  alignas(64) std::array<T, static_cast<std::size_t>(kBlockLines)> largest{};
  alignas(64) std::array<double, static_cast<std::size_t>(kBlockLines)> sum{};

  /// Writes exp(x - largest) too, unless y.data is null.
  ExpSums(const LineBlock<const T>& x, const LineBlock<T>& y) {
    if (x.is_along) along(x.data, x.length, y.data);
    else across(x, y);
  }

  // Note [Cancellation when one class dominates]
  // Where one term of a line is nearly the whole sum, the sum has lost the others, of which the logarithm and that
  // class's gradient consist. There they are added up once more, alone.

  /// The logarithm of line j's sum.
  double log_sum(const LineBlock<const T>& x, std::int64_t j) const {
    const double total = sum[static_cast<std::size_t>(j)];
    if (!(total - 1 < kLost)) return std::log(total);
    const auto other = [from = x.data + j, step = x.step, top = largest[static_cast<std::size_t>(j)]](std::int64_t i) {
      const T v = from[i * step];
      return v == top ? T{0} : vec::exp(v - top);
    };
    return std::log1p(blocked_sum<T>(x.length, other));
  }
  /// Line j's sum but for element `index`; exps is what the constructor wrote.
  double sum_without(std::int64_t index, const LineBlock<T>& exps, std::int64_t j) const {
    const T* const from = exps.data + j;
    const double others = sum[static_cast<std::size_t>(j)] - static_cast<double>(from[index * exps.step]);
    if (!(others < kLost)) return others;
    return blocked_sum<T>(exps.length,
                          [=, step = exps.step](std::int64_t i) { return i == index ? T{0} : from[i * step]; });
  }

 private:
  static constexpr double kLost = std::is_same_v<T, float> ? 0x1p-4 : 0.5;

  static constexpr T kInfinity = std::numeric_limits<T>::infinity();
  static T term(T v, T top) { return vec::exp(v - top); }
  /// The same if top may be infinity.
  static T any_term(T v, T top) { return v == top && top > 0 ? 1 : vec::exp(v - top); }

  void along(const T* x, std::int64_t length, T* y) {
    vectorize([this, x, length, y] {
      const T top = detail::fold_line<Max, T>(length, [x](std::int64_t i) { return x[i]; });
      AccurateSum<double> total;
      std::array<T, kBlockPart> own;
      for (std::int64_t begin = 0; begin < length; begin += kBlockPart) {
        const std::int64_t count = std::min(kBlockPart, length - begin);
        T* exps = y ? y + begin : own.data();
        const T* from = x + begin;
        if (top == kInfinity) {
          for (std::int64_t i = 0; i < count; ++i) exps[i] = any_term(from[i], top);
        } else {
          DYGRAD_IVDEP
          for (std::int64_t i = 0; i < count; ++i) exps[i] = term(from[i], top);
        }
        total.add(static_cast<double>(detail::fold_line<Add, T>(count, [exps](std::int64_t i) { return exps[i]; })));
      }
      largest[0] = top;
      sum[0] = total.value();
    });
  }

  void across(const LineBlock<const T>& x, const LineBlock<T>& y) {
    vectorize([this, x, y] {
      T* const top = largest.data();
      for (std::int64_t j = 0; j < x.lines; ++j) top[j] = x.data[j];
      for (std::int64_t i = 1; i < x.length; ++i) {
        const T* from = x.data + i * x.step;
        DYGRAD_IVDEP
        for (std::int64_t j = 0; j < x.lines; ++j) top[j] = Max()(top[j], from[j]);
      }
      bool is_finite = true;
      for (std::int64_t j = 0; j < x.lines; ++j) is_finite = is_finite && top[j] != kInfinity;

      std::array<AccurateSum<double>, static_cast<std::size_t>(kBlockLines)> totals;
      std::array<T, static_cast<std::size_t>(kBlockLines)> own;
      alignas(64) std::array<double, static_cast<std::size_t>(kBlockLines)> part;
      for (std::int64_t begin = 0; begin < x.length; begin += kAddedRows) {
        for (std::int64_t j = 0; j < x.lines; ++j) part[static_cast<std::size_t>(j)] = 0;
        double* const sums = part.data();
        for (std::int64_t i = begin; i < std::min(begin + kAddedRows, x.length); ++i) {
          const T* from = x.data + i * x.step;
          T* const exps = y.data ? y.data + i * y.step : own.data();
          if (is_finite) {
            DYGRAD_IVDEP
            for (std::int64_t j = 0; j < x.lines; ++j) exps[j] = term(from[j], top[j]);
          } else {
            for (std::int64_t j = 0; j < x.lines; ++j) exps[j] = any_term(from[j], top[j]);
          }
          DYGRAD_IVDEP
          for (std::int64_t j = 0; j < x.lines; ++j) sums[j] += static_cast<double>(exps[j]);
        }
        for (std::int64_t j = 0; j < x.lines; ++j) totals[static_cast<std::size_t>(j)].add(sums[j]);
      }
      for (std::int64_t j = 0; j < x.lines; ++j)
        sum[static_cast<std::size_t>(j)] = totals[static_cast<std::size_t>(j)].value();
    });
  }
};

}  // namespace dygrad::kernel
