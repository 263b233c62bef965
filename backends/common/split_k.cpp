#include <dygrad/backends/common/split_k.h>

#include <array>
#include <optional>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/epilogue.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;

/// A problem whose products are some of another one's, with its operands and the part of the result that it adds to.
struct Part {
  Conv2DParams conv;
  Problem problem;
  Tensor a, b;
  Range rows, columns;  ///< of y

  const Problem& with_params() {
    if (problem.kind != Kind::matmul) problem.conv = &conv;
    return problem;
  }
};

/// What a convolution is summed over: images, channels and filters of each group, and rows and columns of x and of the
/// kernel.
struct Terms {
  Range images, channels, filters, rows, columns, kernel_rows, kernel_columns;

  explicit Terms(const Conv2DSizes& s)
      : images{0, s.n},
        channels{0, s.channels_in_group()},
        filters{0, s.filters_in_group()},
        rows{0, s.h},
        columns{0, s.w},
        kernel_rows{0, s.kh},
        kernel_columns{0, s.kw} {}
};

/// Along which a problem may be cut, best first: what costs no copy, then what is longest.
std::array<Range Terms::*, 3> summed(Kind kind, const Terms& t) {
  if (kind == Kind::conv2d_weights) return {&Terms::images, &Terms::rows, &Terms::columns};
  std::array<Range Terms::*, 3> axes{kind == Kind::conv2d_transpose ? &Terms::channels : &Terms::filters,
                                     &Terms::kernel_rows, &Terms::kernel_columns};
  std::ranges::stable_sort(axes, [&](auto a, auto b) { return (t.*a).size() > (t.*b).size(); });
  return axes;
}

Tensor slice(const Tensor& x, int axis, Range range) { return view::slice(x, axis, range.first, range.last); }

/// The same part of each group's channels.
Tensor slice_groups(const Tensor& x, int axis, std::int64_t groups, Range range) {
  const std::int64_t in_group = x.dim(axis) / groups;
  if (range.size() == in_group) return x;
  if (groups == 1) return slice(x, axis, range);
  Shape split, joined = x.shape();
  for (int d = 0; d < x.rank(); ++d) {
    if (d == axis) split.push_back(groups);
    split.push_back(d == axis ? in_group : x.dim(d));
  }
  joined[axis] = groups * range.size();
  return *view::reshape(kernel::clone(slice(*view::reshape(x, split), axis + 1, range), MemoryFormat::row_major),
                        joined);
}

/// The targets of these inputs and taps along one axis, and the padding that is left where they are all there is.
struct Window {
  Range targets;
  std::int64_t padding;

  Window(Range inputs, Range taps, std::int64_t stride, std::int64_t padding_before, std::int64_t dilation,
         std::int64_t extent) {
    const std::int64_t first = inputs.first * stride + taps.first * dilation - padding_before;
    const std::int64_t last = (inputs.last - 1) * stride + (taps.last - 1) * dilation - padding_before;
    targets.first = std::clamp<std::int64_t>(first, 0, extent);
    targets.last = std::clamp<std::int64_t>(last + 1, targets.first, extent);
    padding = targets.first - first;
  }
};

/// The products of these terms, or nothing if none of them lies inside y.
std::optional<Part> part_of(const Problem& problem, const Tensor& a, const Tensor& b, const Terms& t) {
  const Conv2DSizes s = conv2d_sizes(problem);
  const Window down(t.rows, t.kernel_rows, s.sh, s.ph, s.dh, s.oh);
  const Window across(t.columns, t.kernel_columns, s.sw, s.pw, s.dw, s.ow);
  if (down.targets.size() == 0 || across.targets.size() == 0) return std::nullopt;
  const auto of_x = [&](const Tensor& x) {
    return slice(slice(slice_groups(slice(x, 0, t.images), 1, s.groups, t.channels), 2, t.rows), 3, t.columns);
  };
  const auto of_w = [&](const Tensor& w) {
    const Tensor taps = slice(slice(w, 2, t.kernel_rows), 3, t.kernel_columns);
    return slice(slice_groups(taps, 0, s.groups, t.channels), 1, t.filters);
  };
  const auto of_y = [&](const Tensor& y) {
    const Tensor window = slice(slice(slice(y, 0, t.images), 2, down.targets), 3, across.targets);
    return slice_groups(window, 1, s.groups, t.filters);
  };
  Part part{*problem.conv, problem, {}, {}, down.targets, across.targets};
  part.a = problem.kind == Kind::conv2d ? of_y(a) : of_x(a);
  part.b = problem.kind == Kind::conv2d_weights ? of_y(b) : of_w(b);
  part.conv.padding = {down.padding, across.padding};
  part.conv.input_extent = {t.rows.size(), t.columns.size()};
  part.conv.output_extent = {down.targets.size(), across.targets.size()};
  part.problem.x = {t.images.size(), s.groups * t.channels.size(), t.rows.size(), t.columns.size()};
  part.problem.w = {s.groups * t.channels.size(), t.filters.size(), t.kernel_rows.size(), t.kernel_columns.size()};
  part.problem.y = {t.images.size(), s.groups * t.filters.size(), down.targets.size(), across.targets.size()};
  return part;
}

Range first_half(Range whole) { return {whole.first, whole.first + (whole.size() + 1) / 2}; }
Range second_half(Range whole) { return {whole.first + (whole.size() + 1) / 2, whole.last}; }

using Halves = std::array<std::optional<Part>, 2>;

Halves halves_of_matmul(const Problem& problem, const Tensor& a, const Tensor& b) {
  constexpr std::int64_t kTogether = 64;  // elements of a row that stay together, for the sake of cache lines
  const std::int64_t k = a.dim(-1), middle = (k / 2 + kTogether - 1) / kTogether * kTogether;
  Halves halves;
  for (const Range own : {Range{0, middle}, Range{middle, k}}) {
    Part part{{}, problem, slice(a, -1, own), slice(b, -2, own), {}, {}};
    part.problem.x = part.a.shape(), part.problem.w = part.b.shape();
    halves[own.first == 0 ? 0 : 1] = std::move(part);
  }
  return halves;
}

/// Both halves of the products of each element, as problems that `algorithm` takes; or neither.
Halves halves_of(const Algorithm& algorithm, const Problem& problem, const Tensor& a, const Tensor& b) {
  if (problem.kind == Kind::matmul) return halves_of_matmul(problem, a, b);
  const Terms all(conv2d_sizes(problem));
  for (Range Terms::*axis : summed(problem.kind, all)) {
    if ((all.*axis).size() == 1) continue;
    Terms first = all, second = all;
    first.*axis = first_half(all.*axis), second.*axis = second_half(all.*axis);
    Halves halves{part_of(problem, a, b, first), part_of(problem, a, b, second)};
    if (std::ranges::all_of(halves, [&](auto& half) { return !half || algorithm.supports(half->with_params()); })) {
      return halves;
    }
  }
  return {};
}

/// Rows or columns of `length` numbers each along `axis`, as a batch in front: [..., parts * length, ...] as [parts,
/// ...].
Tensor as_batch(const Tensor& x, int axis, std::int64_t length) {
  Shape shape{x.dim(axis) / length};
  Strides strides{x.strides()[x.rank() + axis] * length};
  for (int d = 0; d < x.rank(); ++d) {
    shape.push_back(d == x.rank() + axis ? length : x.dim(d));
    strides.push_back(x.strides()[d]);
  }
  return view::strided(x, shape, strides, x.impl()->offset);
}

/// A product whose parts are the matrices of a batch, for results so small that calls would take longer than sums.
struct BatchOfParts {
  Problem problem;
  Tensor a, b;

  static bool is_profitable(const Problem& problem, std::int64_t part) {
    constexpr std::int64_t kMax = 1 << 20;  // elements of all partial results
    const std::int64_t parts = problem.x.back() / part;
    return problem.x.rank() < kMaxRank && num_elements(problem.y) <= kMax / parts;
  }
  BatchOfParts(const Problem& whole, const Tensor& left, const Tensor& right, std::int64_t part)
      : problem(whole), a(as_batch(left, -1, part)), b(as_batch(right, -2, part)) {
    problem.x = a.shape(), problem.w = b.shape();
    problem.y = Shape{a.dim(0)};
    for (const std::int64_t extent : whole.y) problem.y.push_back(extent);
  }
};

void add(const Tensor& more, const Tensor& sum) {
  dispatch_float(sum.dtype(), "split_k", [&]<class T>() {
    kernel::map_into<T, T, T>([](T s, T m) { return static_cast<T>(s + m); }, sum, sum, more);
  });
}

}  // namespace

std::int64_t sum_length(const Problem& problem) {
  if (problem.kind == Kind::matmul) return problem.x.back();
  const Conv2DSizes s = conv2d_sizes(problem);
  switch (problem.kind) {
    case Kind::conv2d_transpose: return s.channels_in_group() * s.taps();
    case Kind::conv2d: return s.filters_in_group() * s.taps();
    default: return s.n * s.h * s.w;
  }
}

Tensor SplitK::run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const {
  if (sum_length(problem) <= sum_lengths(problem).max_unsplit) return run_unsplit(problem, a, b, epilogue);
  const Tensor result = run_in_parts(problem, a, b);
  if (problem.kind == Kind::conv2d_transpose || problem.kind == Kind::conv2d) apply_epilogue(epilogue, result);
  return result;
}

Tensor SplitK::run_in_parts(const Problem& problem, const Tensor& a, const Tensor& b) const {
  const SumLengths lengths = sum_lengths(problem);
  if (sum_length(problem) <= lengths.part) return run_unsplit(problem, a, b, {});
  if (problem.kind == Kind::matmul && BatchOfParts::is_profitable(problem, lengths.part)) {
    const std::int64_t full_length = a.dim(-1) / lengths.part * lengths.part;
    const Range full_parts{0, full_length}, rest{full_length, a.dim(-1)};
    const BatchOfParts parts(problem, slice(a, -1, full_parts), slice(b, -2, full_parts), lengths.part);
    const Tensor sum =
        *view::reshape(kernel::reduce_sum(run_unsplit(parts.problem, parts.a, parts.b, {}), {0}), problem.y);
    if (rest.size() > 0) {
      Problem last = problem;
      const Tensor last_a = slice(a, -1, rest), last_b = slice(b, -2, rest);
      last.x = last_a.shape(), last.w = last_b.shape();
      add(run_unsplit(last, last_a, last_b, {}), sum);
    }
    return sum;
  }
  Halves halves = halves_of(*this, problem, a, b);
  if (!halves[0] && !halves[1]) return run_unsplit(problem, a, b, {});
  Tensor sum;
  for (std::optional<Part>& half : halves) {
    if (!half) continue;
    Tensor partial = run_in_parts(half->with_params(), half->a, half->b);
    const bool is_window = problem.kind == Kind::conv2d_transpose && half->problem.y != problem.y;
    if (!sum.defined() && !is_window) {
      sum = std::move(partial);
      continue;
    }
    if (!sum.defined()) {
      sum = Tensor::empty(problem.y, problem.dtype, MemoryFormat::channels_last);
      kernel::fill(sum, 0);
    }
    add(partial, is_window ? slice(slice(sum, 2, half->rows), 3, half->columns) : sum);
  }
  return sum;
}

}  // namespace dygrad
