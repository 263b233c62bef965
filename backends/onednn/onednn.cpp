#include <dygrad/backends/onednn/onednn.h>

#include <unordered_map>

#include <dygrad/backends/common/batched_matmul.h>
#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/common/epilogue.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/common/problem_text.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/onednn/convolution_cache.h>
#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/backends/onednn/weights_cache.h>
#include <dygrad/backends/onednn/weights_layout.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/simd/instruction_set.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;
using onednn::Convolution;
using onednn::memory_of;
constexpr MemoryFormat kChannelsLast = MemoryFormat::channels_last;

Tensor activations(const Tensor& x) { return kernel::contiguous(x, kChannelsLast); }

void execute(const Convolution& c, std::unordered_map<int, dnnl::memory> arguments) {
  const Tensor scratchpad = onednn::buffer(c.scratchpad.get_size());
  arguments.emplace(DNNL_ARG_SCRATCHPAD, memory_of(scratchpad, c.scratchpad));
  const detail::GrantedThreads granted;
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
    plain = w.is_contiguous() ? w : kernel::clone(w, MemoryFormat::row_major);
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

/// What its primitives take, by the kind of code that they run, from measurements of versions 2.6 to 3.12.
double estimated_seconds(Kind kind, const Conv2DSizes& s, std::string_view algorithm) {
  const auto count = [](std::int64_t number) { return static_cast<double>(number); };
  const auto has = [&](std::string_view part) { return algorithm.find(part) != std::string_view::npos; };
  const bool narrow = has("avx2") && kernel::instruction_set() == kernel::InstructionSet::avx512;
  const double product = 2 / cost::kFlopRate * (narrow ? 1.7 : 1);  // seconds
  const std::int64_t lanes = has("avx2") ? 8 : 16;
  const double x = count(num_elements(s.x_shape())), y = count(num_elements(s.y_shape())),
               w = count(num_elements(s.w_shape())), positions = count(s.n * s.h * s.w);
  const double columns = positions * count(s.o * s.taps()), calls = count(s.n * s.groups);
  const double products = cost::flop(s) / 2, moved = 4 * (x + y + w) / cost::kBandwidth;
  constexpr double kCall = 4.8e-6;
  const auto seconds = [&](double work) { return kCall + cost::seconds(work, moved); };
  if (has("dw")) {
    const double work =
        (kind == Kind::conv2d_transpose ? 3.2 : 2.5) * product * share_inside(s) * products + 0.2e-9 * x + 0.1e-9 * y;
    const double alone = kind == Kind::conv2d_weights ? 12 * work : work;
    return kCall + cost::seconds(alone, 0.8 * moved) + 0.7e-9 * w;
  }
  const bool one_pixel = s.h * s.w == 1, no_overlap = s.kh <= s.sh && s.kw <= s.sw;
  if (has("gemm")) {
    const double slow = kind == Kind::conv2d_transpose ? (one_pixel ? 1.6 : 1) : one_pixel ? 45 : 1;
    const double rate = kind == Kind::conv2d ? 2 : 1, of_columns = kind == Kind::conv2d_transpose ? 0.28e-9 : 1.2e-9;
    const double filled = kind == Kind::conv2d_transpose ? 1 : cost::lane_use(s.channels_in_group(), 8);
    const double rows = kind == Kind::conv2d_transpose ? 0.14e-6 * count(s.n * s.oh * s.groups) : 0;
    const double weight = kind == Kind::conv2d_weights ? 3e-9 : cost::kReorders * 3e-9;
    // Images follow each other, and threads rarely help with one.
    return kCall +
           std::max(slow * rate * product * products / filled + 0.2e-6 * calls + of_columns * columns + rows, moved) +
           weight * w;
  }
  // Made for images larger than the kernel, whose outputs are reached by several inputs.
  double slow = 0, start = 0.1e-6 * calls;
  switch (kind) {
    case Kind::conv2d_transpose:
      slow = one_pixel ? 4.3 : s.kw > 14 ? 2.4 : s.kw > 6 ? 1.7 : no_overlap ? 1.5 : 1.15;
      start = 26e-9 * count(s.n * s.oh * s.groups);
      break;
    case Kind::conv2d: slow = one_pixel ? 4 : no_overlap ? 1.15 : 0.92; break;
    default: slow = one_pixel ? 8 : s.kw > 14 ? 8 : no_overlap ? 1.8 : 1.25;
  }
  const std::int64_t filled = kind == Kind::conv2d_transpose ? s.filters_in_group() : s.channels_in_group();
  const double use = cost::lane_use(filled, filled < lanes ? 16 : lanes);
  const double weight = kind == Kind::conv2d_weights ? 2e-9 : cost::kReorders * 2e-9;
  return seconds(slow * product * share_inside(s) * products / use + start + 0.3e-9 * x + 0.1e-9 * y +
                 (kind == Kind::conv2d ? 0.25e-9 * columns : 0)) +
         weight * w;
}

/// Its generated code grows with strides, paddings, dilations and kernels, and counts bytes of an image in 32 bits.
bool fits_primitives(const Conv2DSizes& s) {
  constexpr std::int64_t kMaxSteps = 256, kMaxNumbers = std::int64_t{1} << 29;
  const auto behind = [](std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding, std::int64_t dilation) {
    return (inputs - 1) * stride + (kernel - 1) * dilation + 1 - padding - outputs;
  };
  return fits_offsets(s) &&
         std::max({s.kh, s.kw, s.sh, s.sw, s.ph, s.pw, s.dh, s.dw, behind(s.h, s.oh, s.kh, s.sh, s.ph, s.dh),
                   behind(s.w, s.ow, s.kw, s.sw, s.pw, s.dw)}) <= kMaxSteps &&
         std::max(s.c * s.h * s.w, s.o * s.oh * s.ow) <= kMaxNumbers;
}

/// Weights gradients of strided 1 x 1 kernels in oneDNN 2.6: where the stride leaves cells over at the end of the
/// image, AVX2 code writes beyond its workspace.
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
    if (problem.kind != Kind::conv2d_weights && s.taps() > kRecursive.max_unsplit) return false;
    if (problem.kind == Kind::conv2d_weights && overruns_workspace(s)) return false;
    return s.is_empty() || (fits_primitives(s) && onednn::cached_convolution(problem.kind, s).primitive);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    return estimated_seconds(problem.kind, s, onednn::cached_convolution(problem.kind, s).algorithm);
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b,
                     const Epilogue& epilogue) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Convolution& c = onednn::cached_convolution(problem.kind, s);
    // Chosen before, and not made again: see Note [Primitives that fail while they are made].
    if (!c.primitive) return compute_direct(problem, a, b, epilogue);
    // Some primitives multiply zeros beside the image, see Note [Padding zeros and non-finite values].
    if (problem.kind != Kind::conv2d_weights && !magnitude_of_weights(b).is_finite())
      return compute_direct(problem, a, b, epilogue);
    constexpr std::size_t kToRun = std::size_t{16} << 10;  // bytes
    onednn::require_memory(name_of(problem.kind), kToRun);
    try {
      if (problem.kind == Kind::conv2d_weights) {
        Tensor w = Tensor::empty(s.w_shape());
        run_into_weights(c, a, b, w);
        return is_finite(w) ? w : compute_direct(problem, a, b, epilogue);
      }
      Tensor result = Tensor::empty(result_shape(problem), DType::float32, kChannelsLast);
      if (problem.kind == Kind::conv2d_transpose) run_through_weights(c, a, c.x, b, result, c.y);
      else run_through_weights(c, a, c.y, b, result, c.x);
      apply_epilogue(epilogue, result);
      return result;
    } catch (...) {
      onednn::fail(name_of(problem.kind), problem_text(problem));
    }
  }
};

class Products final : public SplitK {
 public:
  std::string_view name() const override { return "matmul"; }
  std::string implementation(const Problem&) const override { return "dnnl_sgemm"; }
  bool supports(const Problem& problem) const override {
    return problem.kind == Kind::matmul && problem.dtype == DType::float32 && onednn::is_usable();
  }
  double estimate(const Problem& problem) const override {
    const double flop = 2.0 * static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back());
    return cost::seconds(0.9 * flop / cost::flop_rate(problem.dtype), 0);
  }
  Tensor run_unsplit(const Problem&, const Tensor& a, const Tensor& b, const Epilogue&) const override {
    const detail::GrantedThreads granted;
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

std::unique_ptr<Backend> make_onednn_backend() {
  onednn::limit_instruction_set();
  return std::make_unique<OneDnnBackend>();
}

}  // namespace dygrad
