#include <dygrad/backends/onednn/onednn.h>

#include <dygrad/backends/onednn/convolution_cache.h>
#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/backends/onednn/weights_cache.h>
#include <dygrad/backends/problem_text.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/core/verbose.h>

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
  Tensor plain;  // keeps a copy alive
  dnnl::memory weights;
  if (c.weights_are_plain()) {
    plain = w.is_contiguous() ? w : raw::clone(w, MemoryFormat::row_major);
    weights = memory_of(plain, c.weights);
  } else {
    weights = onednn::converted_weights(c, w);
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
  dnnl::memory result = memory_of(w, c.plain_weights);
  c.weights_conversion.execute(onednn::stream(), weights, result);
  onednn::stream().wait();
}

class OneDnnBackend final : public Backend {
 public:
  std::string_view name() const override { return "onednn"; }
  std::string description() const override { return onednn::description(); }

  bool supports(const Problem& problem) const override {
    if (problem.kind == Kind::matmul || problem.dtype != DType::float32) return false;
    const Conv2DSizes s = conv2d_sizes(problem);
    return s.is_empty() || onednn::cached_convolution(problem.kind, s).primitive;
  }

  Tensor deconv2d(const Conv2DParams& p, const Tensor& x, const Tensor& w) override {
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), w.shape());
    return compute(Kind::deconv2d, s, Tensor::empty(s.y_shape(), DType::float32, kChannelsLast),
                   [&](const Convolution& c, const Tensor& y) { run_through_weights(c, x, c.x, w, y, c.y); });
  }

  Tensor deconv2d_data(const Conv2DParams& p, const Tensor& g, const Tensor& w) override {
    const Conv2DSizes s = conv2d_sizes(p, g.dim(0), w.shape());
    return compute(Kind::deconv2d_data, s, Tensor::empty(s.x_shape(), DType::float32, kChannelsLast),
                   [&](const Convolution& c, const Tensor& x) { run_through_weights(c, g, c.y, w, x, c.x); });
  }

  Tensor deconv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                          std::array<std::int64_t, 2> kernel) override {
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), {x.dim(1), g.dim(1) / p.groups, kernel[0], kernel[1]});
    return compute(Kind::deconv2d_weights, s, Tensor::empty(s.w_shape()),
                   [&](const Convolution& c, const Tensor& w) { run_into_weights(c, x, g, w); });
  }

  Tensor matmul(const Tensor& a, const Tensor& b) override {
    throw BackendError(
        Message("matmul", "the onednn backend leaves products to others.").line("a {}, b {}", a.shape(), b.shape()));
  }

 private:
  /// Calls run(convolution, result), or fills the result with zeros where there is nothing to sum.
  template <class Run>
  Tensor compute(Kind direction, const Conv2DSizes& s, Tensor result, const Run& run) {
    const detail::VerboseCall call;
    if (s.is_empty()) {
      raw::fill(result, 0);
      if (call) call.done(name_of(direction), problem_text(s, DType::float32), name(), "empty");
      return result;
    }
    const Convolution& c = onednn::cached_convolution(direction, s);
    if (!c.primitive) {
      throw BackendError(Message(name_of(direction), "oneDNN has no implementation for this problem.")
                             .line("problem {}", problem_text(s, DType::float32))
                             .fix("ask supports() first, or use select_backend()"));
    }
    try {
      run(c, result);
    } catch (const dnnl::error& error) {
      onednn::fail(name_of(direction), problem_text(s, DType::float32), error);
    }
    if (call) call.done(name_of(direction), problem_text(s, DType::float32), name(), c.algorithm);
    return result;
  }
};

}  // namespace

std::unique_ptr<Backend> make_onednn_backend() { return std::make_unique<OneDnnBackend>(); }

}  // namespace dygrad
