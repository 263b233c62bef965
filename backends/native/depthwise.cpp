// One channel per group: nothing is summed over channels, so vectors run along them, and each product is made where
// its operands lie.
#include <vector>

#include <dygrad/backends/cost.h>
#include <dygrad/backends/native/algorithms.h>
#include <dygrad/backends/native/axis_terms.h>
#include <dygrad/backends/native/operands.h>
#include <dygrad/backends/native/patches.h>
#include <dygrad/core/activate.h>

namespace dygrad::native {

namespace {

using Kind = Problem::Kind;

/// [C, 1, kh, kw] as [taps, C].
template <class T>
void pack(const Conv2DSizes& s, const T* weights, T* packed) {
  for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
    for (std::int64_t c = 0; c < s.c; ++c) packed[tap * s.c + c] = weights[c * s.taps() + tap];
  }
}

/// Sizes of one image, in pixels.
struct Extent {
  std::int64_t rows, columns;
};

/// Rows [own.first, own.last) of the result, counted through the batch.
template <class T>
void sum_rows_of(const Conv2DSizes& s, const AxisTerms& down, const AxisTerms& right, Extent operand, Extent result,
                 const T* x, const T* weights, const T* init, const FusedActivation& activation, T* y, Range own) {
  std::vector<const T*> pixels, kernel_pixels;
  for (std::int64_t row = own.first; row < own.last; ++row) {
    const T* image = x + row / result.rows * operand.rows * operand.columns * s.c;
    const auto row_terms = down.of(row % result.rows);
    for (std::int64_t column = 0; column < result.columns; ++column) {
      pixels.clear();
      kernel_pixels.clear();
      for (const auto& [h, i] : row_terms) {
        for (const auto& [w, j] : right.of(column)) {
          pixels.push_back(image + (h * operand.columns + w) * s.c);
          kernel_pixels.push_back(weights + (i * s.kw + j) * s.c);
        }
      }
      kernels<T>().sum_products(pixels.data(), kernel_pixels.data(), static_cast<std::int64_t>(pixels.size()), s.c,
                                init, y + (row * result.columns + column) * s.c);
    }
    raw::activate(activation, y + row * result.columns * s.c, result.columns * s.c);
  }
}

/// sums[tap][c] over x's rows [rows.first, rows.last).
template <class T>
void gradient(const Conv2DSizes& s, const T* x, const T* y, T* sums, Range rows) {
  std::fill_n(sums, s.taps() * s.c, T{0});
  for (std::int64_t row = rows.first; row < rows.last; ++row) {
    const std::int64_t n = row / s.h, h = row % s.h;
    for (std::int64_t i = 0; i < s.kh; ++i) {
      const std::int64_t oh = h * s.sh + i * s.dh - s.ph;
      if (oh < 0 || oh >= s.oh) continue;
      for (std::int64_t j = 0; j < s.kw; ++j) {
        const TapRange columns = column_range(s, j);
        if (columns.begin == columns.end) continue;
        const std::int64_t ow = columns.begin * s.sw + columns.shift;
        kernels<T>().accumulate_products(x + (row * s.w + columns.begin) * s.c, s.c,
                                         y + ((n * s.oh + oh) * s.ow + ow) * s.c, s.sw * s.c,
                                         columns.end - columns.begin, s.c, sums + (i * s.kw + j) * s.c);
      }
    }
  }
}

class Depthwise final : public Algorithm {
 public:
  std::string_view name() const override { return "depthwise"; }
  std::string implementation(const Problem&) const override { return kernels<float>().instruction_set; }

  bool supports(const Problem& problem) const override {
    return problem.kind != Kind::matmul && is_floating(problem.dtype) && problem.conv->groups == problem.w[0] &&
           problem.w[1] == 1;
  }

  double estimate(const Problem& problem) const override {
    // Two loads for each product; images start their sums anew at every pixel.
    const double efficiency = problem.kind == Kind::deconv2d_weights ? 0.4 : 0.14;
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t lanes = problem.dtype == DType::float32 ? kernels<float>().lanes : kernels<double>().lanes;
    return cost::seconds(cost::flop(s) / (efficiency * cost::lane_use(s.c, lanes) * cost::product_rate(problem.dtype)),
                         cost::bytes(s, problem.dtype) / cost::kBandwidth);
  }

  Tensor run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() {
      return problem.kind == Kind::deconv2d_weights ? weights_on<T>(problem, a, b)
                                                    : image_on<T>(problem, a, b, epilogue);
    });
  }

 private:
  template <class T>
  Tensor image_on(const Problem& problem, const Tensor& a, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const bool is_transposed = problem.kind == Kind::deconv2d;
    const auto weights =
        packed_weights<T>(*this, s, w, num_elements(s.w_shape()), [&](const T* from, T* to) { pack(s, from, to); });
    const Tensor image = channels_last(a), init = epilogue.bias.defined() ? raw::contiguous(epilogue.bias) : Tensor();
    const Tensor result =
        Tensor::empty(is_transposed ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const Extent of_x{s.h, s.w}, of_y{s.oh, s.ow};
    const Extent &from = is_transposed ? of_x : of_y, &to = is_transposed ? of_y : of_x;
    const auto terms = is_transposed ? transposed_terms : ordinary_terms;
    const AxisTerms down = terms(to.rows, from.rows, s.kh, s.sh, s.ph, s.dh);
    const AxisTerms right = terms(to.columns, from.columns, s.kw, s.sw, s.pw, s.dw);
    const Range all_rows{0, s.n * to.rows};
    const std::int64_t pieces = std::min(num_native_pieces(s), all_rows.size());
    parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
      const Range own{part_of(all_rows, first, pieces).first, part_of(all_rows, last - 1, pieces).last};
      sum_rows_of(s, down, right, from, to, image.data<T>(), weights->numbers.template data<T>(),
                  init.defined() ? init.data<T>() : nullptr, epilogue.activation, result.mutable_data<T>(), own);
    });
    return result;
  }

  template <class T>
  static Tensor weights_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tensor pixels = channels_last(x), image = channels_last(g);
    const Range all_rows{0, s.n * s.h};
    const std::int64_t pieces = std::min(num_native_pieces(s), all_rows.size());
    const Scratch<T> sums(pieces, num_elements(s.w_shape()));
    for_each_piece(pieces, [&](std::int64_t piece) {
      gradient(s, pixels.data<T>(), image.data<T>(), sums.of_piece(piece), part_of(all_rows, piece, pieces));
    });
    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    T* to = w.mutable_data<T>();
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
        T sum{0};
        for (std::int64_t piece = 0; piece < pieces; ++piece) sum += sums.of_piece(piece)[tap * s.c + c];
        to[c * s.taps() + tap] = sum;
      }
    }
    return w;
  }
};

}  // namespace

const Algorithm& depthwise() {
  static const Depthwise instance;
  return instance;
}

}  // namespace dygrad::native
