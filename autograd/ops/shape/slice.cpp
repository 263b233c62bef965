// Parts of a tensor: slice, select, split.
#include <dygrad/autograd/ops/shape/shape.h>

#include <fmt/ranges.h>

#include <algorithm>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/support.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

Tensor detail::fill_around(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, double value) {
  kernel::fill(view::slice(x, axis, 0, start), value);
  kernel::fill(view::slice(x, axis, stop, x.shape()[axis]), value);
  return view::slice(x, axis, start, stop);
}

namespace {

constexpr std::int64_t kMaxEmptyPieces = 65536;  // of an extent of 0, which any number divides

/// Elements start, start + step, ... before stop of one dimension of `whole`; 0 <= start <= stop <= its extent.
struct Window {
  Shape whole;
  int axis;
  std::int64_t start, stop, step;
};

Tensor slice_scatter(const Tensor& source, const Window& window);

struct Slice {
  static constexpr std::string_view name = "slice";
  Window window;
  Tensor forward(const Tensor& x) const { return view::slice(x, window.axis, window.start, window.stop, window.step); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {slice_scatter(g, window)}; }
};

/// The adjoint of slice: zeros of the whole shape, with the source in its window.
struct SliceScatter {
  static constexpr std::string_view name = "slice_scatter";
  Window window;
  Tensor forward(const Tensor& source) const {
    Tensor result = Tensor::empty(window.whole, source.dtype(), detail::format_of(source));
    if (window.step == 1) {
      kernel::copy(source, detail::fill_around(result, window.axis, window.start, window.stop, 0));
    } else {
      kernel::fill(result, 0);
      kernel::copy(source, view::slice(result, window.axis, window.start, window.stop, window.step));
    }
    return result;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {slice(g, window.axis, window.start, window.stop, window.step)};
  }
};

Tensor slice_scatter(const Tensor& source, const Window& window) { return apply(SliceScatter{window}, source); }

struct Select {
  static constexpr std::string_view name = "select";
  Shape whole;
  int axis;
  std::int64_t index;
  Tensor forward(const Tensor& x) const { return view::select(x, axis, index); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {slice_scatter(unsqueeze(g, axis), {whole, axis, index, index + 1, 1})};
  }
};

/// Appends the sections of `x` that end at `ends`; `x` itself begins at `start` of the same count.
void cut(const Tensor& x, int axis, std::int64_t start, std::span<const std::int64_t> ends,
         std::vector<Tensor>& sections) {
  // The gradient of a slice has the shape of what it was cut from, so n slices of one tensor would take quadratic time.
  // Many sections are cut by a tree of slices.
  constexpr std::size_t kFanOut = 8;
  std::int64_t begin = start;
  const std::size_t branches = std::min(ends.size(), kFanOut);
  for (std::size_t b = 0, first = 0; b < branches; ++b) {
    const std::size_t last = (b + 1) * ends.size() / branches;
    const auto group = ends.subspan(first, last - first);
    const Tensor part = slice(x, axis, begin - start, group.back() - start);
    if (group.size() == 1) sections.push_back(part);
    else cut(part, axis, begin, group, sections);
    begin = group.back();
    first = last;
  }
}

void check_has_dimension(const Tensor& x) {
  if (x.rank() > 0) return;
  throw ShapeError(
      Message("split", "a tensor of rank 0 has no dimension to split.").fix("add a dimension first: x.unsqueeze(0)"));
}

}  // namespace

Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step) {
  detail::check_defined("slice", "x", x);
  axis = normalize_axis(axis, x.rank(), "slice");
  const kernel::Range range = kernel::resolve_range(x.rank() == 0 ? 0 : x.shape()[axis], start, stop);
  return apply(Slice{{x.shape(), axis, range.start, range.stop, step}}, x);
}

Tensor select(const Tensor& x, int axis, std::int64_t index) {
  detail::check_defined("select", "x", x);
  axis = normalize_axis(axis, x.rank(), "select");
  if (index < 0 && x.rank() > 0 && index >= -x.shape()[axis]) index += x.shape()[axis];
  return apply(Select{x.shape(), axis, index}, x);
}

std::vector<Tensor> split(const Tensor& x, std::span<const std::int64_t> sizes, int axis) {
  detail::check_defined("split", "x", x);
  axis = normalize_axis(axis, x.rank(), "split");
  check_has_dimension(x);
  std::int64_t total = 0;
  bool valid = true;
  for (std::int64_t size : sizes) valid = valid && size >= 0 && !__builtin_add_overflow(total, size, &total);
  if (!valid || total != x.shape()[axis]) {
    throw ShapeError(Message("split", "the sizes do not cover the dimension.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("sizes >= 0 that add up to {}", x.shape()[axis])
                         .got("{}", fmt::join(sizes, " + "))
                         .fix("change the sizes, or slice x first"));
  }
  return detail::with_out_of_memory("split", [&] {
    std::vector<std::int64_t> ends;
    std::int64_t end = 0;
    for (std::int64_t size : sizes) ends.push_back(end += size);
    std::vector<Tensor> sections;
    cut(x, axis, 0, ends, sections);
    return sections;
  });
}

std::vector<Tensor> split(const Tensor& x, std::int64_t sections, int axis) {
  detail::check_defined("split", "x", x);
  axis = normalize_axis(axis, x.rank(), "split");
  check_has_dimension(x);
  const std::int64_t extent = x.shape()[axis];
  const std::int64_t most = std::max(extent, kMaxEmptyPieces);
  if (sections < 1 || sections > most || extent % sections != 0) {
    throw ShapeError(Message("split", "the dimension cannot be cut into equal sections.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("a number of sections in [1, {}] that divides {}", most, extent)
                         .got("{}", sections)
                         .fix("give the sizes one by one"));
  }
  const std::int64_t size = extent / sections;
  return detail::with_out_of_memory("split", [&] {
    std::vector<std::int64_t> ends;
    for (std::int64_t i = 1; i <= sections; ++i) ends.push_back(i * size);
    std::vector<Tensor> result;
    cut(x, axis, 0, ends, result);
    return result;
  });
}

}  // namespace dygrad
