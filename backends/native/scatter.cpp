// The transposed convolution from the input's side: one product turns each input pixel into all numbers that it
// contributes, a full kernel's worth; then every output pixel sums its contributions. Where the filters are fewer than
// a vector has lanes, the taps fill the vector. Outputs are written once; what lies between stays in the cache.
//
// Note [Stretches]
// Along a row, outputs q * stride - padding, ..., (q + 1) * stride - padding - 1 and all their filters are one stretch
// of memory. Input column q - t contributes to it through kernel columns t * stride, ..., (t + 1) * stride - 1, which
// is one stretch of that column's product; kernels are filled up with zeros to a whole number of strides.
#include <array>

#include <dygrad/backends/native/algorithms.h>
#include <dygrad/backends/native/convolve.h>
#include <dygrad/backends/native/operands.h>
#include <dygrad/backends/native/precision.h>
#include <dygrad/core/activate.h>

namespace dygrad::native {

namespace {

struct Layout {
  std::int64_t column_steps;  ///< strides that the filled-up kernel is wide
  std::int64_t stretch;       ///< numbers in a stretch
  std::int64_t row;           ///< numbers in one kernel row of a product
  std::int64_t lanes;         ///< numbers in a product
  std::int64_t step;          ///< from one product to the next

  explicit Layout(const Conv2DSizes& s)
      : column_steps((s.kw + s.sw - 1) / s.sw),
        stretch(s.sw * s.o),
        row(column_steps * stretch),
        lanes(s.kh * row),
        step((((lanes + 15) / 16) | 1) * 16 + 32) {}  // odd, in lines: keeps products off each other's cache sets
};

template <class T>
void pack(const Conv2DSizes& s, const Layout& layout, const Number<T>* weights, T* panels) {
  const std::int64_t channel = s.o * s.taps();
  std::vector<PanelRow> rows;
  std::vector<std::int64_t> lanes;
  for (std::int64_t c = 0; c < s.c; c += kFactors<T>) {
    rows.push_back({c / kFactors<T>, c * channel, c + 1 < s.c ? (c + 1) * channel : kZero});
  }
  for (std::int64_t i = 0; i < s.kh; ++i) {
    for (std::int64_t j = 0; j < layout.column_steps * s.sw; ++j) {
      for (std::int64_t o = 0; o < s.o; ++o) lanes.push_back(j < s.kw ? o * s.taps() + i * s.kw + j : kZero);
    }
  }
  pack_panels(weights, rows, lanes, panels);
}

/// Rows of the input that touch these rows of the output.
Range rows_reaching(const Conv2DSizes& s, Range outputs) {
  const std::int64_t first = std::clamp<std::int64_t>(ceil_div(outputs.first + s.ph - (s.kh - 1) * s.dh, s.sh), 0, s.h);
  return {first, std::clamp<std::int64_t>(floor_div(outputs.last - 1 + s.ph, s.sh) + 1, first, s.h)};
}

/// Sums one row of outputs. products(row) are those of an input row of the same image.
template <class T>
class RowOfSums {
 public:
  RowOfSums(const Conv2DSizes& s, const Layout& layout, const T* init) : s_(s), layout_(layout), init_(init) {}

  template <class Products>
  void write(std::int64_t oh, const Products& products, T* y) {
    kernel_rows_.clear();
    for (std::int64_t i = 0; i < s_.kh; ++i) {
      const std::int64_t down = oh + s_.ph - i * s_.dh;
      if (down < 0 || down % s_.sh != 0 || down / s_.sh >= s_.h) continue;
      kernel_rows_.push_back(products(down / s_.sh) + i * layout_.row);
    }
    const std::int64_t last = floor_div(s_.ow - 1 + s_.pw, s_.sw) + 1;
    const std::int64_t whole_last = floor_div(s_.ow + s_.pw, s_.sw);  // stretches from here on are cut at the right
    const std::int64_t inner_first = std::max(layout_.column_steps - 1, ceil_div(s_.pw, s_.sw));
    const std::int64_t inner_last = std::max(inner_first, std::min(s_.w, whole_last));
    for (std::int64_t q = s_.pw / s_.sw; q < last; ++q) {
      if (q == inner_first && inner_last > inner_first) {
        write_stretches(q, inner_last - q, 0, layout_.stretch, y + (q * s_.sw - s_.pw) * s_.o);
        q = inner_last - 1;
        continue;
      }
      const std::int64_t first_column = q * s_.sw - s_.pw, skipped = std::max<std::int64_t>(0, -first_column);
      const std::int64_t columns = std::min(s_.sw, s_.ow - first_column) - skipped;
      write_stretches(q, 1, skipped * s_.o, columns * s_.o, y + (first_column + skipped) * s_.o);
    }
  }

 private:
  /// `count` numbers, from `skipped` on, of stretches [q, q + stretches) that all have the same contributors.
  void write_stretches(std::int64_t q, std::int64_t stretches, std::int64_t skipped, std::int64_t count, T* y) {
    terms_.clear();
    for (const T* kernel_row : kernel_rows_) {
      for (std::int64_t t = 0; t < layout_.column_steps; ++t) {
        if (q - t < 0 || q - t >= s_.w) continue;
        terms_.push_back(kernel_row + (q - t) * layout_.step + t * layout_.stretch + skipped);
      }
    }
    kernels<T>().sum_rows(terms_.data(), static_cast<std::int64_t>(terms_.size()), layout_.step, stretches, count,
                          init_ ? init_ + skipped : nullptr, y);
  }

  const Conv2DSizes& s_;
  const Layout& layout_;
  const T* init_;
  std::vector<const T*> kernel_rows_, terms_;
};

/// The image as rows of a matrix: every pixel of so many elements is a patch.
PatchGrid pixels_as_patches(std::int64_t elements, std::int64_t count) {
  return {1, 1, count, elements, 0, elements, 1, count, 1, 1, {0}, {0}};
}

constexpr std::int64_t kTileBytes = 512 << 10;

class Scatter final : public Algorithm {
 public:
  Scatter(std::string_view name, Compute compute) : name_(name), precision_(compute) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::deconv2d && precision_.takes(problem) && problem.conv->groups == 1 &&
           problem.conv->dilation[1] == 1;
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Layout layout(s);
    const std::int64_t lanes = precision_.lanes(problem.dtype);
    const double positions = static_cast<double>(s.n * s.h * s.w);
    const double widened = static_cast<double>(layout.lanes) / cost::lane_use(layout.lanes, lanes);
    const double products = positions * widened * static_cast<double>(s.c);
    // Every number of a product is stored and loaded once more, at about this rate, and each pixel has its own sums.
    constexpr double kTileRate = 7e9, kPixel = 8e-9;
    const double moved = positions * static_cast<double>(layout.lanes) * static_cast<double>(size_of(problem.dtype));
    const double alone = cost::seconds(
        2 * products / (0.95 * precision_.product_rate(problem.dtype, s.c)) + moved / kTileRate + positions * kPixel,
        cost::bytes(s, problem.dtype) / cost::kBandwidth);
    return precision_.with_conversion(alone, num_elements(s.x_shape()), s.c);
  }

  Tensor run(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, w, epilogue); });
  }

 private:
  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Layout layout(s);
    const std::int64_t elements = elements_for<T>(s.c);
    const auto weights = packed_weights<T>(*this, s, w, panels_size<T>(elements, layout.lanes),
                                           [&](const Number<T>* from, T* to) { pack(s, layout, from, to); });
    const Panels<T> panels{elements, layout.lanes, weights->numbers.template data<T>()};
    const Tensor image = factors_of_channels<T>(x, s.groups);
    const Tensor y = Tensor::empty(s.y_shape(), problem.dtype, MemoryFormat::channels_last);
    const Tensor init = repeated_bias<Sum<T>>(s, layout, epilogue.bias);

    const std::int64_t most_positions =
        std::max<std::int64_t>(kTileBytes / (layout.step * static_cast<std::int64_t>(sizeof(Sum<T>))), 1);
    const std::int64_t halo =
        ceil_div((s.kh - 1) * s.dh, s.sh);  // input rows that a block of outputs shares with the next
    const bool many_images = s.h * s.w <= most_positions;
    const std::int64_t images =
        many_images ? std::max<std::int64_t>(1, std::min(most_positions, std::int64_t{256}) / (s.h * s.w)) : 1;
    const std::int64_t input_rows = many_images ? s.h : std::max(most_positions / s.w, halo + 1);
    const std::int64_t output_rows = many_images ? s.oh : std::max<std::int64_t>(1, (input_rows - halo) * s.sh);
    const std::int64_t tile_rows = std::min(s.h, (output_rows - 1 + (s.kh - 1) * s.dh) / s.sh + 1);

    const std::int64_t row_blocks = ceil_div(s.oh, output_rows), blocks = ceil_div(s.n, images) * row_blocks;
    const std::int64_t pieces = std::min(num_native_pieces(s), blocks);
    const Scratch<Sum<T>> tiles(pieces, images * tile_rows * s.w * layout.step + 64);
    const Scratch<T> buffers(pieces,
                             PatchPlan<T>(pixels_as_patches(elements, images * tile_rows * s.w), 1).scratch_size());
    for_each_piece(pieces, [&](std::int64_t piece) {
      RowOfSums<Sum<T>> sums(s, layout, init.defined() ? init.data<Sum<T>>() : nullptr);
      Sum<T>* const tile = tiles.of_piece(piece);
      const Range own = part_of({0, blocks}, piece, pieces);
      for (std::int64_t block = own.first; block < own.last; ++block) {
        const Range ns{block / row_blocks * images, std::min((block / row_blocks + 1) * images, s.n)};
        const Range ohs{block % row_blocks * output_rows, std::min((block % row_blocks + 1) * output_rows, s.oh)};
        const Range used = many_images ? Range{0, s.h} : rows_reaching(s, ohs);
        const std::int64_t rows = used.size(), count = ns.size() * rows * s.w;
        if (count > 0) {
          const PatchPlan<T> plan(pixels_as_patches(elements, count), 1);
          plan.convolve(image.data<T>() + (ns.first * s.h + used.first) * s.w * elements, panels, nullptr,
                        {tile, 0, 0, layout.step}, {0, 1}, buffers.of_piece(piece));
        }
        for (std::int64_t n = ns.first; n < ns.last; ++n) {
          const Sum<T>* products = tile + (n - ns.first) * rows * s.w * layout.step;
          Sum<T>* const own_rows = y.mutable_data<Sum<T>>() + (n * s.oh + ohs.first) * s.ow * s.o;
          for (std::int64_t oh = ohs.first; oh < ohs.last; ++oh) {
            sums.write(
                oh, [&](std::int64_t row) { return products + (row - used.first) * s.w * layout.step; },
                own_rows + (oh - ohs.first) * s.ow * s.o);
          }
          raw::activate(epilogue.activation, own_rows, ohs.size() * s.ow * s.o);
        }
      }
    });
    return y;
  }

  /// The bias of each number in a stretch, and room for a vector more. Undefined without bias.
  template <class T>
  static Tensor repeated_bias(const Conv2DSizes& s, const Layout& layout, const Tensor& bias) {
    if (!bias.defined()) return {};
    const Tensor dense = raw::contiguous(bias),
                 repeated = Tensor::empty({layout.stretch + 2 * kMaxPanel}, dtype_of<T>());
    const T* from = dense.data<T>();
    T* to = repeated.mutable_data<T>();
    for (std::int64_t i = 0; i < repeated.num_elements(); ++i) to[i] = from[i % s.o];
    return repeated;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& scatter() {
  static const Scatter instance("scatter", Compute::exact);
  return instance;
}

const Algorithm& bf16_scatter() {
  static const Scatter instance("bf16_scatter", Compute::bfloat16);
  return instance;
}

}  // namespace dygrad::native
