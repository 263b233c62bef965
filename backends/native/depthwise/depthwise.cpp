// Depthwise, one channel per group: nothing is summed over channels, so vectors run along them, and operands are
// multiplied in place.
#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/native/depthwise/algorithms.h>
#include <dygrad/backends/native/depthwise/row_segments.h>
#include <dygrad/backends/native/packing/partition.h>
#include <dygrad/backends/native/packing/prepacked.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

using Kind = Problem::Kind;

/// From the weights of one tap to those of the next.
template <class T>
std::int64_t weight_step(const Conv2DSizes& s) {
  return padded_leading_dim<T>(s.c);
}

/// [C, 1, kh, kw] as [tap][C].
template <class T>
void pack(const Conv2DSizes& s, const T* weights, T* packed) {
  for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
    for (std::int64_t c = 0; c < s.c; ++c) packed[tap * weight_step<T>(s) + c] = weights[c * s.taps() + tap];
  }
}

/// Vectors of halving widths that channels are taken in, down to 16 bytes, and then scalars.
std::int64_t num_vectors(std::int64_t channels, std::int64_t lanes, DType dtype) {
  std::int64_t vectors = 0;
  for (std::int64_t width = lanes; channels > 0; width = width * size_of(dtype) > 16 ? width / 2 : 1) {
    vectors += channels / width;
    channels %= width;
  }
  return vectors;
}

/// Partial sums of one thread over pixels: one chain, or blocks. See Note [Blocked summation].
template <class T>
class DepthwiseWgradAccumulator {
 public:
  /// `sums` and, where there are blocks, those of a block behind them: `size` elements each.
  DepthwiseWgradAccumulator(T* sums, std::int64_t size, bool in_blocks)
      : sums_(sums), block_(in_blocks ? sums + size : sums), size_(size), in_blocks_(in_blocks) {
    std::fill_n(sums_, in_blocks ? 2 * size : size, T{0});
  }

  void add(const RowSegment& segment, const T* patches, const T* pixels) {
    if (!in_blocks_) return kernels<T>().dwconv_weights(segment, patches, pixels, sums_);
    RowSegment part = segment;
    for (std::int64_t first = 0; first < segment.num_pixels; first += part.num_pixels) {
      part.num_pixels = std::min(kBlock, segment.num_pixels - first);
      kernels<T>().dwconv_weights(part, patches + first * segment.patch_step, pixels + first * segment.pixel_step,
                                  block_);
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

class Depthwise final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    // Taps in the padding are skipped. Narrow vectors take as long as whole ones.
    const Conv2DSizes s = conv2d_sizes(problem);
    const bool is_transposed = problem.kind == Kind::conv2d_transpose,
               sums_pixels = problem.kind == Kind::conv2d_weights;
    const double efficiency = is_transposed ? 0.5 : sums_pixels ? 0.3 : 0.35;
    const std::int64_t lanes = problem.dtype == DType::float32 ? kernels<float>().lanes : kernels<double>().lanes;
    const auto vectors = static_cast<double>(num_vectors(s.c, lanes, problem.dtype));
    const auto inputs = static_cast<double>(s.n * s.h * s.w), outputs = static_cast<double>(s.n * s.oh * s.ow);
    const double compute = 2 * inputs * static_cast<double>(s.taps()) * share_inside(s) * vectors *
                           static_cast<double>(lanes) / (efficiency * cost::flop_rate(problem.dtype));
    constexpr double kCall = 1.6e-6, kPixel = 0.9e-9, kVector = 0.7e-9;  // seconds
    const double weight = sums_pixels ? 1.2e-9 : cost::kReorders * 0.6e-9;
    return kCall + weight * static_cast<double>(num_elements(s.w_shape())) +
           cost::seconds(compute + (is_transposed ? outputs : inputs) * (kPixel + kVector * vectors),
                         cost::bytes(s, problem.dtype) / cost::kBandwidth, num_native_chunks(s));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b,
                     const Epilogue& epilogue) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() {
      return problem.kind == Kind::conv2d_weights ? weights_on<T>(problem, a, b) : image_on<T>(problem, a, b, epilogue);
    });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override {
    return is_floating(problem.dtype) && problem.conv->groups == problem.w[0] && problem.w[1] == 1 &&
           fits_offsets(conv2d_sizes(problem));
  }
  SumLengths sum_lengths(const Problem& problem) const override {
    return problem.kind == Kind::conv2d_weights ? kBlocked : kRecursive;
  }

 private:
  template <class T>
  Tensor image_on(const Problem& problem, const Tensor& a, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const bool is_transposed = problem.kind == Kind::conv2d_transpose;
    const auto weights = prepacked_weights<T>(*this, s, w, s.taps() * weight_step<T>(s),
                                              [&](const T* from, T* to) { pack(s, from, to); });
    const Tensor image = channels_last(a), init = epilogue.bias.defined()
                                                      ? kernel::contiguous(epilogue.bias)
                                                      : zeros({is_transposed ? s.o : s.c}, problem.dtype);
    const Tensor result =
        Tensor::empty(is_transposed ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const bool is_relu = epilogue.activation.kind == FusedActivation::Kind::relu;
    const RowSegments segments =
        is_transposed ? RowSegments::of_output(s, weight_step<T>(s)) : RowSegments::of_input(s, weight_step<T>(s));
    const Range all_rows{0, s.n * segments.rows()};
    const std::int64_t chunks = std::min(num_native_chunks(s), all_rows.size());
    const T *from = image.data<T>(), *packed = weights->data.template data<T>(), *start = init.data<T>();
    T* const to = result.mutable_data<T>();
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      for (Range own = part_of(all_rows, chunk, chunks); own.first < own.last;) {
        const Range block = segments.block_of(own, size_of(problem.dtype));
        segments.for_each_segment(block, [&](const RowSegment& segment, std::int64_t patches, std::int64_t pixels) {
          kernels<T>().dwconv(segment, from + patches, packed, start, is_relu, to + pixels);
        });
        if (!is_relu) {
          kernel::activate(epilogue.activation, to + block.first * segments.row_size(),
                           block.size() * segments.row_size());
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
    const RowSegments segments = RowSegments::of_input(s, weight_step<T>(s));
    const Range all_rows{0, s.n * segments.rows()};
    const std::int64_t chunks = std::min(num_native_chunks(s), all_rows.size());
    const std::int64_t size = s.taps() * weight_step<T>(s);
    constexpr std::int64_t kPage = 4096 / sizeof(T);  // which bounds hardware prefetching: not into another's sums
    const bool in_blocks = sums_in_blocks(problem);
    const Workspace<T> sums(chunks, (in_blocks ? 2 : 1) * size + kPage);
    const T *of_y = image.data<T>(), *of_x = pixels.data<T>();
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      DepthwiseWgradAccumulator<T> own_sums(sums.of_chunk(chunk), size, in_blocks);
      for (Range own = part_of(all_rows, chunk, chunks); own.first < own.last;) {
        const Range block = segments.block_of(own, size_of(problem.dtype));
        segments.for_each_segment(block, [&](const RowSegment& segment, std::int64_t patches, std::int64_t own_x) {
          own_sums.add(segment, of_y + patches, of_x + own_x);
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
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += sums.of_chunk(chunk)[tap * weight_step<T>(s) + c];
        *to++ = sum;
      }
    }
    return w;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_depthwise(const AlgorithmKey& key) { return std::make_unique<Depthwise>(key); }

}  // namespace dygrad::native
