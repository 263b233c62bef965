// Where the windows of a 2-D pool lie, and how its loops run over them. For max_pool2d and avg_pool2d.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <dygrad/autograd/ops/pool/detail/pool_sums.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/strided_pack.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// The part of one window that lies inside the image, [begin, end) in each direction.
struct PoolWindow {
  std::int64_t h_begin, h_end, w_begin, w_end;
};

/// Both memory orders have one address: element (plane, h, w, i) lies at ((plane * H + h) * W + w) * inner + i, where
///   row-major      planes = N * C, inner = 1;
///   channels-last  planes = N,     inner = C.
struct PoolGeometry {
  std::array<std::int64_t, 2> size{}, stride{}, padding{};  // along H and W
  bool exclusive = true;
  Shape x_shape, y_shape;
  MemoryFormat format = MemoryFormat::row_major;
  std::int64_t planes = 0, inner = 1;

  std::int64_t height() const { return x_shape[2]; }
  std::int64_t width() const { return x_shape[3]; }
  std::int64_t out_height() const { return y_shape[2]; }
  std::int64_t out_width() const { return y_shape[3]; }
  std::int64_t taps() const { return size[0] * size[1]; }
  /// Upper bounds: image elements per window, and windows per image element.
  std::int64_t max_window_elements() const { return std::min(size[0], height()) * std::min(size[1], width()); }
  std::int64_t max_overlap() const {
    const auto along = [&](std::size_t i) {
      const std::int64_t windows = (size[i] + stride[i] - 1) / stride[i];
      return std::min(windows, y_shape[2 + static_cast<int>(i)]);
    };
    return along(0) * along(1);
  }
  /// The windows' places along H (d = 0) or W (d = 1).
  WindowAxis axis(int d) const {
    const auto i = static_cast<std::size_t>(d);
    return {2 + d, size[i], stride[i], padding[i]};
  }
  bool has_small_windows() const { return taps() <= 256; }

  PoolWindow window(std::int64_t oh, std::int64_t ow) const {
    const auto [kh, kw] = size;
    const auto [ph, pw] = padding;
    const std::int64_t h = oh * stride[0] - ph;
    const std::int64_t w = ow * stride[1] - pw;
    return {std::max<std::int64_t>(h, 0), std::min(h + kh, height()), std::max<std::int64_t>(w, 0),
            std::min(w + kw, width())};
  }

  /// Cells of the o-th window along H (d = 0) or W (d = 1) that a mean divides by.
  std::int64_t divisor(std::int64_t o, int d) const {
    const auto i = static_cast<std::size_t>(d);
    const std::int64_t begin = o * stride[i] - padding[i], end = begin + size[i];
    const std::int64_t extent = x_shape[2 + d];
    if (exclusive) return std::min(end, extent) - std::max<std::int64_t>(begin, 0);
    return std::min(end, extent + padding[i]) - begin;
  }

  /// Calls f(plane, oh) for every row of windows, on several threads; is_sequential keeps the rows of a plane on one
  /// thread, in their order.
  template <class F>
  void for_each_row(const F& f, bool is_sequential = false) const {
    const std::int64_t row = std::max<std::int64_t>(out_width() * inner, 1);
    const std::int64_t rows_each = is_sequential ? out_height() : 1;
    const std::int64_t grain = std::max<std::int64_t>(kernel::kElementwiseGrain / (row * rows_each), 1);
    parallel_for(planes * out_height() / rows_each, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin * rows_each; r < end * rows_each; ++r) f(r / out_height(), r % out_height());
    });
  }

  std::int64_t x_at(std::int64_t plane, std::int64_t h, std::int64_t w) const {
    return ((plane * height() + h) * width() + w) * inner;
  }
  std::int64_t y_at(std::int64_t plane, std::int64_t oh, std::int64_t ow) const {
    return ((plane * out_height() + oh) * out_width() + ow) * inner;
  }

  // Note [Taps]
  // A tap is a position in the window. Inner loops run over contiguous elements: for one tap, over the channels of a
  // window (channels-last, and where windows are further apart than the image is wide), or over the windows of a row
  // (row-major), where a tap of the first and the last windows may be padding. Taps that fall into the padding for
  // every window are skipped.

  /// Calls f(tap, offset in x, offset in y, count, step in x) for the taps of one row of windows, so that each window
  /// is met in the order of its taps, or, with by_window, each cell of the image in the order of windows.
  template <class F>
  void for_each_tap(std::int64_t plane, std::int64_t oh, const F& f, bool by_window = false) const {
    const auto [kh, kw] = size;
    const std::int64_t sw = stride[1], pw = padding[1];
    const std::int64_t top = oh * stride[0] - padding[0];
    const std::int64_t h_begin = std::max<std::int64_t>(top, 0), h_end = std::min(top + kh, height());
    if (format == MemoryFormat::channels_last || sw >= width()) {
      for (std::int64_t ow = 0; ow < out_width(); ++ow) {
        const PoolWindow window = this->window(oh, ow);
        for (std::int64_t h = h_begin; h < h_end; ++h) {
          for (std::int64_t w = window.w_begin; w < window.w_end; ++w)
            f((h - top) * kw + w - (ow * sw - pw), x_at(plane, h, w), y_at(plane, oh, ow), inner, std::int64_t{1});
        }
      }
      return;
    }
    const std::int64_t j_begin = std::max<std::int64_t>(pw - (out_width() - 1) * sw, 0),
                       j_end = std::min(kw, width() + pw);
    for (std::int64_t h = h_begin; h < h_end; ++h) {
      for (std::int64_t k = j_begin; k < j_end; ++k) {
        const std::int64_t j = by_window ? j_begin + j_end - 1 - k : k;
        const std::int64_t first = std::max<std::int64_t>((pw - j + sw - 1) / sw, 0);
        const std::int64_t last = std::min((width() - 1 + pw - j) / sw, out_width() - 1);
        if (width() - 1 + pw - j >= 0 && first <= last)
          f((h - top) * kw + j, x_at(plane, h, first * sw - pw + j), y_at(plane, oh, first), last - first + 1, sw);
      }
    }
  }

  /// Calls zero(offset in x, count) for the elements of x that no row of windows before (plane, oh) reaches; calls for
  /// all rows of a plane cover it.
  template <class F>
  void zero_first_touched(std::int64_t plane, std::int64_t oh, const F& zero) const {
    const auto end_of = [&](std::int64_t row) {
      const std::int64_t end = row * stride[0] - padding[0] + size[0];
      return row + 1 == out_height() ? height() : std::clamp<std::int64_t>(end, 0, height());
    };
    const std::int64_t begin = oh == 0 ? 0 : end_of(oh - 1);
    zero(x_at(plane, begin, 0), (end_of(oh) - begin) * width() * inner);
  }
};

/// Throws DtypeError unless x is floating, InvalidArgument for options out of range, ShapeError unless x is a batch of
/// images with room for a window.
PoolGeometry make_pool_geometry(std::string_view op, const Tensor& x, const Pool2DOptions& options);

/// `count` elements `step` apart as neighbours: where they lie, or copied into `buffer`.
template <class T>
const T* contiguous_or_packed(const T* x, std::int64_t step, std::int64_t count, std::vector<T>& buffer) {
  if (step == 1) return x;
  buffer.resize(static_cast<std::size_t>(count));
  kernel::pack({reinterpret_cast<std::byte*>(const_cast<T*>(x)), sizeof(T), 1, count, 0, step},
               reinterpret_cast<std::byte*>(buffer.data()));
  return buffer.data();
}

}  // namespace dygrad::detail
