// One channel per group: nothing is summed over channels, so vectors run along them, and each product is made where
// its operands lie.
#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/depthwise/algorithms.h>
#include <dygrad/backends/native/depthwise/pixel_runs.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

using Kind = Problem::Kind;

/// From the weights of one tap to those of the next.
template <class T>
std::int64_t weight_step(const Conv2DSizes& s) {
  return odd_lines<T>(s.c);
}

/// [C, 1, kh, kw] as [tap][C].
template <class T>
void pack(const Conv2DSizes& s, const T* weights, T* packed) {
  for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
    for (std::int64_t c = 0; c < s.c; ++c) packed[tap * weight_step<T>(s) + c] = weights[c * s.taps() + tap];
  }
}

/// Vectors of halving widths that channels are taken in, down to 16 bytes, and then single numbers.
std::int64_t num_vectors(std::int64_t channels, std::int64_t lanes, DType dtype) {
  std::int64_t vectors = 0;
  for (std::int64_t width = lanes; channels > 0; width = width * size_of(dtype) > 16 ? width / 2 : 1) {
    vectors += channels / width;
    channels %= width;
  }
  return vectors;
}

/// One thread's sums over pixels: one chain, or blocks that are summed by themselves. See Note [Blocks of products].
template <class T>
class PixelSums {
 public:
  /// `sums` and, where there are blocks, those of a block behind them: `size` numbers each.
  PixelSums(T* sums, std::int64_t size, bool in_blocks)
      : sums_(sums), block_(in_blocks ? sums + size : sums), size_(size), in_blocks_(in_blocks) {
    std::fill_n(sums_, in_blocks ? 2 * size : size, T{0});
  }

  void add(const PixelRun& run, const T* patches, const T* pixels) {
    if (!in_blocks_) return kernels<T>().sum_over_pixels(run, patches, pixels, sums_);
    PixelRun part = run;
    for (std::int64_t first = 0; first < run.num_pixels; first += part.num_pixels) {
      part.num_pixels = std::min(kBlock, run.num_pixels - first);
      kernels<T>().sum_over_pixels(part, patches + first * run.patch_step, pixels + first * run.pixel_step, block_);
      in_block_ += part.num_pixels;
      if (in_block_ >= kBlock) finish();
    }
  }

  /// Adds the last block.
  void finish() {
    if (!in_blocks_) return;
    for (std::int64_t i = 0; i < size_; ++i) sums_[i] += block_[i], block_[i] = 0;
    in_block_ = 0;
  }

 private:
  static constexpr std::int64_t kBlock = 512;  // pixels

  T *sums_, *block_;
  std::int64_t size_, in_block_ = 0;
  bool in_blocks_;
};

class Depthwise final : public SplitK {
 public:
  std::string_view name() const override { return "depthwise"; }
  std::string implementation(const Problem&) const override { return kernels<float>().instruction_set; }

  bool supports(const Problem& problem) const override {
    return problem.kind != Kind::matmul && is_floating(problem.dtype) && problem.conv->groups == problem.w[0] &&
           problem.w[1] == 1 && fits_offsets(conv2d_sizes(problem));
  }

  double estimate(const Problem& problem) const override {
    // Taps outside the images are left out. Narrow vectors take as long as whole ones.
    const Conv2DSizes s = conv2d_sizes(problem);
    const bool is_transposed = problem.kind == Kind::conv2d_transpose, sums_pixels = problem.kind == Kind::conv2d_weights;
    const double efficiency = is_transposed ? 0.5 : sums_pixels ? 0.3 : 0.35;
    const std::int64_t lanes = problem.dtype == DType::float32 ? kernels<float>().lanes : kernels<double>().lanes;
    const auto vectors = static_cast<double>(num_vectors(s.c, lanes, problem.dtype));
    const auto inputs = static_cast<double>(s.n * s.h * s.w), outputs = static_cast<double>(s.n * s.oh * s.ow);
    const double products = 2 * inputs * static_cast<double>(s.taps()) * share_inside(s) * vectors *
                            static_cast<double>(lanes) / (efficiency * cost::product_rate(problem.dtype));
    constexpr double kCall = 1.6e-6, kPixel = 0.9e-9, kVector = 0.7e-9;  // seconds
    const double weight = sums_pixels ? 1.2e-9 : cost::kConversions * 0.6e-9;
    return kCall + weight * static_cast<double>(num_elements(s.w_shape())) +
           cost::seconds(products + (is_transposed ? outputs : inputs) * (kPixel + kVector * vectors),
                         cost::bytes(s, problem.dtype) / cost::kBandwidth, num_native_pieces(s));
  }

  Tensor run_whole(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() {
      return problem.kind == Kind::conv2d_weights ? weights_on<T>(problem, a, b)
                                                    : image_on<T>(problem, a, b, epilogue);
    });
  }

 protected:
  SumLengths sum_lengths(const Problem& problem) const override {
    return problem.kind == Kind::conv2d_weights ? kBlocks : kChain;
  }

 private:
  template <class T>
  Tensor image_on(const Problem& problem, const Tensor& a, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const bool is_transposed = problem.kind == Kind::conv2d_transpose;
    const auto weights =
        packed_weights<T>(*this, s, w, s.taps() * weight_step<T>(s), [&](const T* from, T* to) { pack(s, from, to); });
    const Tensor image = channels_last(a), init = epilogue.bias.defined()
                                                      ? kernel::contiguous(epilogue.bias)
                                                      : zeros({is_transposed ? s.o : s.c}, problem.dtype);
    const Tensor result =
        Tensor::empty(is_transposed ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const bool is_relu = epilogue.activation.kind == FusedActivation::Kind::relu;
    const PixelRuns runs =
        is_transposed ? PixelRuns::of_output(s, weight_step<T>(s)) : PixelRuns::of_input(s, weight_step<T>(s));
    const Range all_rows{0, s.n * runs.rows()};
    const std::int64_t pieces = std::min(num_native_pieces(s), all_rows.size());
    const T *from = image.data<T>(), *packed = weights->numbers.template data<T>(), *start = init.data<T>();
    T* const to = result.mutable_data<T>();
    for_each_piece(pieces, [&](std::int64_t piece) {
      for (Range own = part_of(all_rows, piece, pieces); own.first < own.last;) {
        const Range block = runs.block_of(own, size_of(problem.dtype));
        runs.for_each_run(block, [&](const PixelRun& run, std::int64_t patches, std::int64_t pixels) {
          kernels<T>().sum_patches(run, from + patches, packed, start, is_relu, to + pixels);
        });
        if (!is_relu) {
          kernel::activate(epilogue.activation, to + block.first * runs.row_size(), block.size() * runs.row_size());
        }
        own.first = block.last;
      }
    });
    return result;
  }

  template <class T>
  static Tensor weights_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tensor pixels = channels_last(x), image = channels_last(g);
    const PixelRuns runs = PixelRuns::of_input(s, weight_step<T>(s));
    const Range all_rows{0, s.n * runs.rows()};
    const std::int64_t pieces = std::min(num_native_pieces(s), all_rows.size());
    const std::int64_t size = s.taps() * weight_step<T>(s);
    constexpr std::int64_t kPage = 4096 / sizeof(T);  // which bounds what processors fetch ahead: not another's sums
    const bool in_blocks = sums_in_blocks(problem);
    const Scratch<T> sums(pieces, (in_blocks ? 2 : 1) * size + kPage);
    const T *of_y = image.data<T>(), *of_x = pixels.data<T>();
    for_each_piece(pieces, [&](std::int64_t piece) {
      PixelSums<T> own_sums(sums.of_piece(piece), size, in_blocks);
      for (Range own = part_of(all_rows, piece, pieces); own.first < own.last;) {
        const Range block = runs.block_of(own, size_of(problem.dtype));
        runs.for_each_run(block, [&](const PixelRun& run, std::int64_t patches, std::int64_t own_x) {
          own_sums.add(run, of_y + patches, of_x + own_x);
        });
        own.first = block.last;
      }
      own_sums.finish();
    });
    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    T* to = w.mutable_data<T>();
    for (std::int64_t c = 0; c < s.c; ++c) {
      for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
        T sum{0};
        for (std::int64_t piece = 0; piece < pieces; ++piece) sum += sums.of_piece(piece)[tap * weight_step<T>(s) + c];
        *to++ = sum;
      }
    }
    return w;
  }
};

}  // namespace

const Algorithm& depthwise() {
  static const Depthwise& instance = *new const Depthwise;
  return instance;
}

}  // namespace dygrad::native
