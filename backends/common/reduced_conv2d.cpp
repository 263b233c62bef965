#include <dygrad/backends/common/reduced_conv2d.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

// Sums of products of two 64-bit numbers are exact here.
__extension__ using Wide = __int128;

constexpr std::int64_t kMaxOrdinary = 64;  // strides, paddings and dilations up to here are not looked at
constexpr std::int64_t kMaxLookedAt = std::int64_t{1} << 24;  // inputs or kernel indices; a look takes a second

Wide floor_of(Wide a, Wide b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// The first and the last of the indices that contribute.
struct Hull {
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = -1;
  void add(std::int64_t from, std::int64_t to) { first = std::min(first, from), last = std::max(last, to); }
  std::int64_t count() const { return last < first ? 0 : last - first + 1; }
};

/// Of a in [0, count_a) and b in [0, count_b) with 0 <= a * step_a + b * step_b - padding < outputs.
struct Hulls {
  Hull a, b, outputs;

  Hulls(std::int64_t count_a, std::int64_t step_a, std::int64_t count_b, std::int64_t step_b, std::int64_t padding,
        std::int64_t num_outputs) {
    for (std::int64_t index = 0; index < count_a; ++index) {
      const Wide shift = Wide{index} * step_a - padding;
      const Wide first = std::max<Wide>(-floor_of(shift, step_b), 0);
      const Wide last = std::min<Wide>(floor_of(Wide{num_outputs} - 1 - shift, step_b), Wide{count_b} - 1);
      if (first > last) continue;
      a.add(index, index);
      b.add(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last));
      outputs.add(static_cast<std::int64_t>(first * step_b + shift), static_cast<std::int64_t>(last * step_b + shift));
    }
  }
};

/// Step 3 of Note [Reduced convolutions]: a * step_a + b * step_b, where the b of neighbouring a do not overlap.
void keep_targets(ReducedAxis& axis, std::int64_t count_a, std::int64_t step_a, std::int64_t count_b,
                  std::int64_t step_b) {
  for (std::int64_t a = 0; a < count_a; ++a) {
    for (std::int64_t b = 0; b < count_b; ++b) {
      const Wide place = Wide{a} * step_a + Wide{b} * step_b - axis.padding;
      axis.output_index.push_back(place >= 0 && place < axis.outputs ? static_cast<std::int64_t>(place) : -1);
    }
  }
}

bool is_sparse(std::int64_t count_a, std::int64_t step_a, std::int64_t count_b, std::int64_t step_b,
               std::int64_t outputs) {
  return count_a > 1 && Wide{count_b - 1} * step_b < step_a && 2 * Wide{count_a} * count_b < outputs;
}

bool is_ordinary(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                 std::int64_t padding, std::int64_t dilation) {
  const Wide behind = Wide{inputs - 1} * stride + Wide{kernel - 1} * dilation + 1 - padding - outputs;
  return std::max({stride, padding, dilation}) <= kMaxOrdinary && behind <= kMaxOrdinary && -behind <= kMaxOrdinary;
}

/// The place of a reduced output.
std::int64_t place_of(const ReducedAxis& axis, std::int64_t output) {
  return axis.output_index.empty() ? output : axis.output_index[static_cast<std::size_t>(output)];
}

/// Calls f(number of `reduced`, the one of `all` in its place, or null) for all elements of `reduced`, which has the
/// reduced outputs of both axes, while `all` has all outputs.
template <class Number, class F>
void for_each_place(const ReducedAxis& rows, const ReducedAxis& columns, const Tensor& reduced, const Tensor& all,
                    const F& f) {
  auto *const targets = reduced.mutable_data<Number>(), *const whole = all.mutable_data<Number>();
  const Strides &a = reduced.strides(), &b = all.strides();
  const std::int64_t channels = reduced.dim(1), height = reduced.dim(2), width = reduced.dim(3);
  const std::int64_t grain = kernel::kElementwiseGrain / (width * channels) + 1;
  parallel_for(reduced.dim(0) * height, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t n = i / height, row = i % height, down = place_of(rows, row);
      for (std::int64_t column = 0; column < width; ++column) {
        const std::int64_t right = place_of(columns, column);
        Number* const target = targets + n * a[0] + row * a[2] + column * a[3];
        Number* const place = down < 0 || right < 0 ? nullptr : whole + n * b[0] + down * b[2] + right * b[3];
        for (std::int64_t c = 0; c < channels; ++c) f(target[c * a[1]], place ? place + c * b[1] : nullptr);
      }
    }
  });
}

template <class F>
void with_number_of_size(DType dtype, const F& f) {
  if (size_of(dtype) == 8) f(std::uint64_t{});
  else f(std::uint32_t{});
}

}  // namespace

ReducedAxis reduce_axis(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding, std::int64_t dilation) {
  const bool by_input = inputs < kernel;
  const Hulls hulls = by_input ? Hulls(inputs, stride, kernel, dilation, padding, outputs)
                               : Hulls(kernel, dilation, inputs, stride, padding, outputs);
  const Hull &of_inputs = by_input ? hulls.a : hulls.b, &of_kernel = by_input ? hulls.b : hulls.a;
  ReducedAxis axis;
  if (hulls.outputs.count() == 0) return axis;
  axis.first_input = of_inputs.first, axis.inputs = of_inputs.count();
  axis.first_tap = of_kernel.first, axis.taps = of_kernel.count();
  axis.first_output = hulls.outputs.first, axis.outputs = hulls.outputs.count();
  axis.padding = static_cast<std::int64_t>(Wide{padding} - Wide{axis.first_input} * stride -
                                           Wide{axis.first_tap} * dilation + axis.first_output);
  axis.stride = axis.inputs > 1 ? stride : axis.taps > 1 ? dilation : 1;
  axis.dilation = axis.taps > 1 ? dilation : axis.stride;
  axis.output_step = std::gcd(axis.stride, axis.dilation);
  axis.outputs = (axis.outputs - 1) / axis.output_step + 1;
  axis.stride /= axis.output_step, axis.dilation /= axis.output_step, axis.padding /= axis.output_step;
  if (axis.outputs == 1) axis.output_step = 1;
  if (is_sparse(axis.inputs, axis.stride, axis.taps, axis.dilation, axis.outputs)) {
    keep_targets(axis, axis.inputs, axis.stride, axis.taps, axis.dilation);
    axis.stride = axis.taps, axis.padding = 0, axis.dilation = 1;
  } else if (is_sparse(axis.taps, axis.dilation, axis.inputs, axis.stride, axis.outputs)) {
    keep_targets(axis, axis.taps, axis.dilation, axis.inputs, axis.stride);
    axis.stride = 1, axis.padding = 0, axis.dilation = axis.inputs;
  }
  return axis;
}

std::optional<ReducedConv2D> ReducedConv2D::of(const Problem& problem) {
  const Conv2DSizes s = conv2d_sizes(problem);
  if (is_ordinary(s.h, s.oh, s.kh, s.sh, s.ph, s.dh) && is_ordinary(s.w, s.ow, s.kw, s.sw, s.pw, s.dw)) return {};
  if (s.is_empty() || std::max(std::min(s.h, s.kh), std::min(s.w, s.kw)) > kMaxLookedAt) return {};
  ReducedConv2D reduced(problem, reduce_axis(s.h, s.oh, s.kh, s.sh, s.ph, s.dh),
                        reduce_axis(s.w, s.ow, s.kw, s.sw, s.pw, s.dw));
  if (!reduced.has_no_terms() && conv2d_sizes(reduced.problem()) == s) return {};
  return reduced;
}

ReducedConv2D::ReducedConv2D(const Problem& problem, ReducedAxis rows, ReducedAxis columns)
    : whole_(problem),
      rows_(std::move(rows)),
      columns_(std::move(columns)),
      params_{.stride = {rows_.stride, columns_.stride},
              .padding = {rows_.padding, columns_.padding},
              .dilation = {rows_.dilation, columns_.dilation},
              .groups = problem.conv->groups,
              .input_extent = {rows_.inputs, columns_.inputs},
              .output_extent = {rows_.reduced_outputs(), columns_.reduced_outputs()}} {}

Problem ReducedConv2D::problem() const {
  Problem reduced = whole_;
  reduced.conv = &params_;
  reduced.x = {whole_.x[0], whole_.x[1], rows_.inputs, columns_.inputs};
  reduced.w = {whole_.w[0], whole_.w[1], rows_.taps, columns_.taps};
  reduced.y = {whole_.y[0], whole_.y[1], rows_.reduced_outputs(), columns_.reduced_outputs()};
  return reduced;
}

Tensor ReducedConv2D::gather_inputs(const Tensor& x) const {
  return view::slice(view::slice(x, 2, rows_.first_input, rows_.first_input + rows_.inputs), 3, columns_.first_input,
                     columns_.first_input + columns_.inputs);
}

Tensor ReducedConv2D::gather_taps(const Tensor& w) const {
  return view::slice(view::slice(w, 2, rows_.first_tap, rows_.first_tap + rows_.taps), 3, columns_.first_tap,
                     columns_.first_tap + columns_.taps);
}

Tensor ReducedConv2D::gather_strided_outputs(const Tensor& y) const {
  const auto slice = [](const Tensor& from, int dim, const ReducedAxis& axis) {
    return view::slice(from, dim, axis.first_output, axis.first_output + (axis.outputs - 1) * axis.output_step + 1,
                       axis.output_step);
  };
  return slice(slice(y, 2, rows_), 3, columns_);
}

Tensor ReducedConv2D::gather_outputs(const Tensor& y) const {
  const Tensor all = gather_strided_outputs(y);
  if (rows_.output_index.empty() && columns_.output_index.empty()) return all;
  const Tensor targets = Tensor::empty(problem().y, y.dtype(), MemoryFormat::channels_last);
  with_number_of_size(y.dtype(), [&]<class Number>(Number) {
    for_each_place<Number>(rows_, columns_, targets, all,
                           [](Number& target, const Number* place) { target = place ? *place : Number{0}; });
  });
  return targets;
}

void ReducedConv2D::scatter(const Tensor& reduced, const Tensor& result) const {
  if (whole_.kind == Problem::Kind::conv2d) return kernel::copy(reduced, gather_inputs(result));
  if (whole_.kind == Problem::Kind::conv2d_weights) return kernel::copy(reduced, gather_taps(result));
  const Tensor all = gather_strided_outputs(result);
  if (rows_.output_index.empty() && columns_.output_index.empty()) return kernel::copy(reduced, all);
  with_number_of_size(result.dtype(), [&]<class Number>(Number) {
    for_each_place<Number>(rows_, columns_, reduced, all, [](const Number& number, Number* place) {
      if (place) *place = number;
    });
  });
}

}  // namespace dygrad
