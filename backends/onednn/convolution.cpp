#include <dygrad/backends/onednn/convolution.h>

#include <dygrad/backends/onednn/runtime.h>

namespace dygrad::onednn {

namespace {

using dnnl::memory;

memory::desc channels_last(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return {{n, c, h, w}, memory::data_type::f32, memory::format_tag::nhwc};
}

/// dygrad's row-major weights [C, O/G, kh, kw] under the dimensions that oneDNN expects: [out, in, kh, kw], with the
/// group first where there are several. For the transposed convolution C is "in", for the ordinary one it is "out". A
/// view by strides: nothing is copied.
memory::desc plain_weights(const Conv2DSizes& s, bool transposed) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  const std::int64_t c_stride = og * s.taps(), o_stride = s.taps();
  memory::dims dims = transposed ? memory::dims{og, cg, s.kh, s.kw} : memory::dims{cg, og, s.kh, s.kw};
  memory::dims strides =
      transposed ? memory::dims{o_stride, c_stride, s.kw, 1} : memory::dims{c_stride, o_stride, s.kw, 1};
  if (s.groups > 1) {
    dims.insert(dims.begin(), s.groups);
    strides.insert(strides.begin(), cg * c_stride);
  }
  return {dims, memory::data_type::f32, strides};
}

/// The same dimensions, with the format left to the library.
memory::desc any_weights(const Conv2DSizes& s, bool transposed) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  memory::dims dims = transposed ? memory::dims{og, cg, s.kh, s.kw} : memory::dims{cg, og, s.kh, s.kw};
  if (s.groups > 1) dims.insert(dims.begin(), s.groups);
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

/// Padding after the image, as oneDNN wants it. The extents imply it: the full reach is (h-1)*stride + dilation*(k-1) +
/// 1, of which `padding` is cut off at the start. Rows of y beyond the reach would make it negative; oneDNN rounds the
/// input extent down instead, as an ordinary convolution does, and takes 0.
std::int64_t padding_after(std::int64_t input, std::int64_t output, std::int64_t kernel, std::int64_t stride,
                           std::int64_t dilation, std::int64_t padding) {
  return std::max<std::int64_t>(0, (input - 1) * stride + dilation * (kernel - 1) + 1 - padding - output);
}

struct Geometry {
  memory::dims strides, dilates, before, after;

  explicit Geometry(const Conv2DSizes& s)
      : strides{s.sh, s.sw},
        dilates{s.dh - 1, s.dw - 1},  // oneDNN counts the skipped elements
        before{s.ph, s.pw},
        after{padding_after(s.h, s.oh, s.kh, s.sh, s.dh, s.ph), padding_after(s.w, s.ow, s.kw, s.sw, s.dw, s.pw)} {}
};

dnnl::deconvolution_forward::primitive_desc describe_deconvolution(const Conv2DSizes& s, const Geometry& at,
                                                                   const memory::desc& x, const memory::desc& y) {
  return describe<dnnl::deconvolution_forward>(engine(), attributes(), dnnl::prop_kind::forward_training,
                                               dnnl::algorithm::deconvolution_direct, x, any_weights(s, true), y,
                                               at.strides, at.dilates, at.before, at.after);
}

/// What every primitive descriptor reports.
template <class Primitive, class PrimitiveDesc>
void adopt(Convolution& c, const char* name, const PrimitiveDesc& desc, const memory::desc& weights) {
  c.algorithm = std::string(name) + ":" + desc.impl_info_str();
  if (is_stand_in(c.algorithm) || !blocking_of(weights)) return;  // compiling it would be in vain
  c.weights = weights;
  c.scratchpad = desc.scratchpad_desc();
  c.primitive = Primitive(desc);
}

}  // namespace

Convolution make_convolution(Problem::Kind direction, const Conv2DSizes& s) {
  const Geometry at(s);
  Convolution c;
  c.x = channels_last(s.n, s.c, s.h, s.w);
  c.y = channels_last(s.n, s.o, s.oh, s.ow);
  const bool transposed = direction != Problem::Kind::conv2d;
  c.plain_weights = plain_weights(s, transposed);

  if (direction == Problem::Kind::conv2d_transpose) {
    const auto desc = describe_deconvolution(s, at, c.x, c.y);
    adopt<dnnl::deconvolution_forward>(c, "deconvolution_forward", desc, desc.weights_desc());
  } else if (direction == Problem::Kind::conv2d) {
    const auto desc = describe<dnnl::convolution_forward>(
        engine(), attributes(), dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, c.y,
        any_weights(s, false), c.x, at.strides, at.dilates, at.before, at.after);
    adopt<dnnl::convolution_forward>(c, "convolution_forward", desc, desc.weights_desc());
  } else {
    const auto desc = describe_gradient<dnnl::deconvolution_backward_weights>(
        engine(), attributes(), describe_deconvolution(s, at, c.x, c.y), dnnl::algorithm::deconvolution_direct, c.x,
        any_weights(s, true), c.y, at.strides, at.dilates, at.before, at.after);
    adopt<dnnl::deconvolution_backward_weights>(c, "deconvolution_backward_weights", desc, desc.diff_weights_desc());
  }
  return c;
}

bool is_stand_in(std::string_view algorithm) { return algorithm.find("ref") != std::string_view::npos; }

}  // namespace dygrad::onednn
