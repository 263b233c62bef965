// Convolutions by their definition, with the work of what contributes alone: strides, paddings and dilations may be as
// large as 64 bits allow.
#pragma once

#include <vector>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::testing {

/// Input h and kernel index i contribute to output o.
struct ConvTerm {
  std::int64_t h, i, o;
};

/// All of one axis, by trying each pair.
inline std::vector<ConvTerm> conv_terms(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel,
                                        std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
  __extension__ using Wide = __int128;
  std::vector<ConvTerm> terms;
  for (std::int64_t h = 0; h < inputs; ++h) {
    for (std::int64_t i = 0; i < kernel; ++i) {
      const Wide o = Wide{h} * stride + Wide{i} * dilation - padding;
      if (o >= 0 && o < outputs) terms.push_back({h, i, static_cast<std::int64_t>(o)});
    }
  }
  return terms;
}

/// fwd, bwd_data or bwd_weights as `kind` says, of operands in the order of Algorithm::run. `shape` is the result's.
inline Tensor conv_by_definition(Problem::Kind kind, const Conv2DParams& p, const Tensor& a, const Tensor& b,
                                 const Shape& x, const Shape& w, const Shape& y) {
  const std::vector<double> of_a = a.to_vector<double>(), of_b = b.to_vector<double>();
  const Shape& shape = kind == Problem::Kind::conv2d_transpose ? y : kind == Problem::Kind::conv2d ? x : w;
  std::vector<double> sums(static_cast<std::size_t>(num_elements(shape)));
  const auto at = [](const Shape& s, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t i) {
    return static_cast<std::size_t>(((n * s[1] + c) * s[2] + h) * s[3] + i);
  };
  const auto rows = conv_terms(x[2], y[2], w[2], p.stride[0], p.padding[0], p.dilation[0]);
  const auto columns = conv_terms(x[3], y[3], w[3], p.stride[1], p.padding[1], p.dilation[1]);
  const std::int64_t channels = x[1] / p.groups;
  for (std::int64_t n = 0; n < x[0]; ++n) {
    for (std::int64_t c = 0; c < x[1]; ++c) {
      for (std::int64_t o = 0; o < w[1]; ++o) {
        for (const ConvTerm& row : rows) {
          for (const ConvTerm& column : columns) {
            const std::size_t in_x = at(x, n, c, row.h, column.h), in_w = at(w, c, o, row.i, column.i),
                              in_y = at(y, n, c / channels * w[1] + o, row.o, column.o);
            if (kind == Problem::Kind::conv2d_transpose) sums[in_y] += of_a[in_x] * of_b[in_w];
            else if (kind == Problem::Kind::conv2d) sums[in_x] += of_a[in_y] * of_b[in_w];
            else sums[in_w] += of_a[in_x] * of_b[in_y];
          }
        }
      }
    }
  }
  return from_vector(sums, shape);
}

}  // namespace dygrad::testing
