// Convolutions whose stride, padding or dilation is so large that few pairs of a tap and a pixel contribute to any
// output, as smaller ordinary ones. For algorithm_selection.cpp, which thereby keeps such problems from every backend.
//
// Note [Reduced convolutions]
// Along an axis, input h and kernel index i contribute to output o = h * stride + i * dilation - padding if 0 <= o <
// OH.
// 1. Inputs, kernel indices and outputs before the first and after the last one that contributes are left out: padding
//    beyond the kernel's reach ends here.
// 2. All outputs with a contribution are a multiple of gcd(stride, dilation) apart: only these are kept, and both
//    divided by it. Where a single input is left its stride means nothing, and where a single kernel index is, its
//    dilation.
// 3. Where the outputs of adjacent inputs do not overlap and are far apart, o = h * K + i counts those with a
//    contribution; where those of adjacent kernel indices are, o = i * H + h.
// What is left grows with the pixels and taps that contribute, not with the distances between them.
#pragma once

#include <optional>
#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad {

/// Reduction of one axis.
struct ReducedAxis {
  std::int64_t first_input = 0, inputs = 0;  ///< those that contribute, or none
  std::int64_t first_tap = 0, taps = 0;
  std::int64_t first_output = 0, output_step = 1, outputs = 0;
  std::int64_t stride = 1, padding = 0, dilation = 1;  ///< of the reduced problem
  /// For each output of the reduced problem its index among `outputs`, or -1 outside; empty if all are the same.
  std::vector<std::int64_t> output_index;

  std::int64_t reduced_outputs() const {
    return output_index.empty() ? outputs : static_cast<std::int64_t>(output_index.size());
  }
};
ReducedAxis reduce_axis(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding, std::int64_t dilation);

/// A problem of the convolution family and the smaller one that it comes down to.
class ReducedConv2D {
 public:
  /// None if the problem is an ordinary one, or cannot be made smaller.
  static std::optional<ReducedConv2D> of(const Problem& problem);

  /// The reduced problem; its `conv` points into this object. Not where has_no_terms().
  Problem problem() const;
  bool has_no_terms() const { return rows_.inputs == 0 || columns_.inputs == 0; }

  // What the reduced problem reads of each operand.
  Tensor gather_inputs(const Tensor& x) const;
  Tensor gather_taps(const Tensor& w) const;
  Tensor gather_outputs(const Tensor& y) const;
  /// Writes the reduced problem's result to where it belongs. All other elements keep their values.
  void scatter(const Tensor& reduced, const Tensor& result) const;

 private:
  ReducedConv2D(const Problem& problem, ReducedAxis rows, ReducedAxis columns);
  /// The outputs of both axes before step 3.
  Tensor gather_strided_outputs(const Tensor& y) const;

  Problem whole_;
  ReducedAxis rows_, columns_;
  Conv2DParams params_;
};

}  // namespace dygrad
