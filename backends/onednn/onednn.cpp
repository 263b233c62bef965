#include <dygrad/backends/onednn/onednn.h>

#include <unordered_map>

#include <dygrad/backends/batched_matmul.h>
#include <dygrad/backends/cost.h>
#include <dygrad/backends/image_result.h>
#include <dygrad/backends/magnitude.h>
#include <dygrad/backends/onednn/convolution_cache.h>
#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/backends/onednn/weights_cache.h>
#include <dygrad/backends/onednn/weights_layout.h>
#include <dygrad/backends/plain_sums.h>
#include <dygrad/backends/problem_text.h>
#include <dygrad/backends/split_k.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/vectorize.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;
using onednn::Convolution;
using onednn::memory_of;
constexpr MemoryFormat kChannelsLast = MemoryFormat::channels_last;

Tensor activations(const Tensor& x) { return raw::contiguous(x, kChannelsLast); }

void execute(const Convolution& c, std::unordered_map<int, dnnl::memory> arguments) {
  const Tensor scratchpad = onednn::buffer(c.scratchpad.get_size());
  arguments.emplace(DNNL_ARG_SCRATCHPAD, memory_of(scratchpad, c.scratchpad));
  c.primitive.execute(onednn::stream(), arguments);
  onednn::stream().wait();
}

/// Both directions that read the weights: `from` through w into `to`.
void run_through_weights(const Convolution& c, const Tensor& from, const dnnl::memory::desc& from_layout,
                         const Tensor& w, const Tensor& to, const dnnl::memory::desc& to_layout) {
  const Tensor source = activations(from);
  Tensor plain;           // keeps a copy alive
  Ref<RefCounted> owner;  // or a conversion
  dnnl::memory weights;
  if (c.weights_are_plain()) {
    plain = w.is_contiguous() ? w : raw::clone(w, MemoryFormat::row_major);
    weights = memory_of(plain, c.weights);
  } else {
    weights = onednn::converted_weights(c, w, owner);
  }
  execute(c, {{DNNL_ARG_SRC, memory_of(source, from_layout)},
              {DNNL_ARG_WEIGHTS, weights},
              {DNNL_ARG_DST, memory_of(to, to_layout)}});
}

/// The direction that writes the weights, row-major as parameters are.
void run_into_weights(const Convolution& c, const Tensor& x, const Tensor& g, const Tensor& w) {
  const Tensor source = activations(x), cotangent = activations(g);
  const bool plain = c.weights_are_plain();
  const Tensor converted = plain ? w : onednn::buffer(c.weights.get_size());
  dnnl::memory weights = memory_of(converted, c.weights);
  execute(c, {{DNNL_ARG_SRC, memory_of(source, c.x)},
              {DNNL_ARG_DIFF_DST, memory_of(cotangent, c.y)},
              {DNNL_ARG_DIFF_WEIGHTS, weights}});
  if (plain) return;
  onednn::copy_to_plain(c.weights, static_cast<const float*>(weights.get_data_handle()), c.plain_weights,
                        w.mutable_data<float>());
}

/// How near its primitives come to the processor's rate, from measurements of versions 2.6 to 3.12: written channels
/// are filled up to a vector, and the transposed and the gradient kernels were made for images larger than the kernel.
double expected_efficiency(Kind direction, const Conv2DSizes& s) {
  const bool one_pixel = s.h * s.w == 1, no_overlap = s.kh <= s.sh && s.kw <= s.sw;
  // Images of several groups are computed in half vectors where that is what a group has.
  const auto use = [&](std::int64_t channels) {
    return cost::lane_use(channels, s.groups > 1 && channels == 8 ? 8 : 16);
  };
  const bool depthwise = s.groups == s.c && s.groups == s.o && s.c % 16 == 0;
  if (depthwise) return direction == Kind::deconv2d_weights ? 0.03 : 0.55;
  switch (direction) {
    case Kind::deconv2d: return use(s.filters_in_group()) * (one_pixel ? 0.5 : no_overlap ? 0.6 : 1);
    case Kind::deconv2d_data: return use(s.channels_in_group()) * (one_pixel ? 0.3 : no_overlap ? 0.85 : 1);
    default: {
      const double shape = one_pixel ? 0.2 : no_overlap ? 0.4 : s.kw > 14 ? 0.1 : s.dh > 1 && s.sh > 1 ? 0.6 : 0.9;
      return cost::lane_use(s.channels_in_group(), 16) * shape;
    }
  }
}

/// Its generated code grows with strides, paddings, dilations and kernels, and counts bytes of an image in 32 bits.
bool fits_primitives(const Conv2DSizes& s) {
  constexpr std::int64_t kMostSteps = 256, kMostNumbers = std::int64_t{1} << 29;
  const auto behind = [](std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding, std::int64_t dilation) {
    return (inputs - 1) * stride + (kernel - 1) * dilation + 1 - padding - outputs;
  };
  return fits_offsets(s) &&
         std::max({s.kh, s.kw, s.sh, s.sw, s.ph, s.pw, s.dh, s.dw, behind(s.h, s.oh, s.kh, s.sh, s.ph, s.dh),
                   behind(s.w, s.ow, s.kw, s.sw, s.pw, s.dw)}) <= kMostSteps &&
         std::max(s.c * s.h * s.w, s.o * s.oh * s.ow) <= kMostNumbers;
}

/// Weights gradients of strided 1 x 1 kernels in oneDNN 2.6: where the stride leaves cells over at the end of the image,
/// AVX2 code writes beyond its workspace.
bool overruns_workspace(const Conv2DSizes& s) {
  return s.taps() == 1 && (s.oh != (s.h - 1) * s.sh + 1 - s.ph || s.ow != (s.w - 1) * s.sw + 1 - s.pw) &&
         std::max(s.sh, s.sw) > 1;
}

/// The library's own primitive for the problem as a whole.
class Primitive final : public SplitK {
 public:
  std::string_view name() const override { return "primitive"; }
  std::string implementation(const Problem& problem) const override {
    return onednn::cached_convolution(problem.kind, conv2d_sizes(problem)).algorithm;
  }

  bool supports(const Problem& problem) const override {
    if (problem.kind == Kind::matmul || problem.dtype != DType::float32 || !onednn::is_usable()) return false;
    const Conv2DSizes s = conv2d_sizes(problem);
    // Sums this long would have to be split along the kernel, and not every part of a kernel has a primitive.
    if (problem.kind != Kind::deconv2d_weights && s.taps() > kChain.whole) return false;
    if (problem.kind == Kind::deconv2d_weights && overruns_workspace(s)) return false;
    return s.is_empty() || (fits_primitives(s) && onednn::cached_convolution(problem.kind, s).primitive);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    double efficiency = 0.88 * expected_efficiency(problem.kind, s);
    const std::string& algorithm = onednn::cached_convolution(problem.kind, s).algorithm;
    if (algorithm.find("gemm") != std::string::npos) efficiency *= 0.3;
    const bool half_as_wide = algorithm.find("avx2") != std::string::npos;
    if (half_as_wide && raw::instruction_set() == raw::InstructionSet::avx512) efficiency *= 0.6;
    constexpr double kConversion = 2e-9;            // seconds for each weight; training converts them in every step
    constexpr double kPass = 4 * cost::kBandwidth;  // bias and activation pass over what is still in the caches
    const double passes = problem.kind == Kind::deconv2d ? 4.0 * static_cast<double>(num_elements(s.y_shape())) : 0;
    const double products = share_inside(s) * cost::flop(s) / (efficiency * cost::product_rate(problem.dtype));
    return cost::seconds(products + kConversion * static_cast<double>(num_elements(s.w_shape())),
                         cost::bytes(s, problem.dtype) / cost::kBandwidth) +
           cost::seconds(passes / kPass, 0);
  }

  Tensor run_whole(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Convolution& c = onednn::cached_convolution(problem.kind, s);
    // Some primitives multiply zeros beside the image, see Note [Terms that are not there].
    if (problem.kind != Kind::deconv2d_weights && !magnitude_of_weights(b).is_finite())
      return compute_plainly(problem, a, b, epilogue);
    constexpr std::size_t kToRun = std::size_t{16} << 10;  // bytes
    onednn::require_memory(name_of(problem.kind), kToRun);
    try {
      if (problem.kind == Kind::deconv2d_weights) {
        Tensor w = Tensor::empty(s.w_shape());
        run_into_weights(c, a, b, w);
        return is_finite(w) ? w : compute_plainly(problem, a, b, epilogue);
      }
      Tensor result = Tensor::empty(result_shape(problem), DType::float32, kChannelsLast);
      if (problem.kind == Kind::deconv2d) run_through_weights(c, a, c.x, b, result, c.y);
      else run_through_weights(c, a, c.y, b, result, c.x);
      apply_epilogue(epilogue, result);
      return result;
    } catch (const dnnl::error& error) {
      onednn::fail(name_of(problem.kind), problem_text(problem), error);
    }
  }
};

class Products final : public SplitK {
 public:
  std::string_view name() const override { return "product"; }
  std::string implementation(const Problem&) const override { return "dnnl_sgemm"; }
  bool supports(const Problem& problem) const override {
    return problem.kind == Kind::matmul && problem.dtype == DType::float32 && onednn::is_usable();
  }
  double estimate(const Problem& problem) const override {
    const double flop = 2.0 * static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back());
    return cost::seconds(0.9 * flop / cost::product_rate(problem.dtype), 0);
  }
  Tensor run_whole(const Problem&, const Tensor& a, const Tensor& b, const Epilogue&) const override {
    return batched_matmul<float>(a, b, [](auto m, auto n, auto k, auto left, auto right, float* result, auto leading) {
      // Cannot fail: it refuses nothing but negative sizes and null pointers.
      dnnl_sgemm(left.transposed ? 'T' : 'N', right.transposed ? 'T' : 'N', m, n, k, 1.0F, left.data, left.leading,
                 right.data, right.leading, 0.0F, result, leading);
    });
  }
};

class OneDnnBackend final : public Backend {
 public:
  std::string_view name() const override { return "onednn"; }
  std::string description() const override { return onednn::description(); }
  std::span<const Algorithm* const> algorithms() const override { return algorithms_; }

 private:
  Primitive primitive_;
  Products products_;
  std::array<const Algorithm*, 2> algorithms_{&primitive_, &products_};
};

}  // namespace

std::unique_ptr<Backend> make_onednn_backend() { return std::make_unique<OneDnnBackend>(); }

}  // namespace dygrad
