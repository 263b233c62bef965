// What each index of a result is summed from, along one axis of an image: the same for all images, rows and columns of
// a problem, so it is found once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad::native {

/// For each index along one axis of the result: which operand indices it is summed from, through which kernel indices.
struct AxisTerms {
  struct Term {
    std::int64_t operand, kernel;
  };
  std::vector<Term> terms;
  std::vector<std::size_t> ends;  ///< of each result index's terms

  std::span<const Term> of(std::int64_t index) const {
    const std::size_t first = index == 0 ? 0 : ends[index - 1];
    return std::span(terms).subspan(first, ends[index] - first);
  }
};

/// Indices of the result, equally far apart, that are summed through the same kernel indices. From one to the next, all
/// operand indices grow by the same.
struct AxisRun {
  std::int64_t first, count;
  std::span<const AxisTerms::Term> terms;  ///< of the first
};

/// The runs of all indices, in which a result index is `step` more than the one before. `axis` must outlive them.
inline std::vector<AxisRun> runs_of(const AxisTerms& axis, std::int64_t step) {
  const auto count = static_cast<std::int64_t>(axis.ends.size());
  std::vector<AxisRun> runs;
  for (std::int64_t phase = 0; phase < std::min(step, count); ++phase) {
    for (std::int64_t index = phase; index < count; index += step) {
      const auto terms = axis.of(index);
      const bool goes_on = index > phase && std::ranges::equal(terms, runs.back().terms, {}, &AxisTerms::Term::kernel,
                                                               &AxisTerms::Term::kernel);
      if (goes_on) ++runs.back().count;
      else runs.push_back({index, 1, terms});
    }
  }
  return runs;
}

/// Of the transposed convolution: output = operand * stride + kernel * dilation - padding. Looks at terms only.
inline AxisTerms transposed_terms(std::int64_t outputs, std::int64_t inputs, std::int64_t kernel, std::int64_t stride,
                                  std::int64_t padding, std::int64_t dilation) {
  AxisTerms axis;
  const auto for_each_term = [&](const auto& f) {
    for (std::int64_t k = 0; k < kernel; ++k) {
      const TapRange range = tap_range(inputs, outputs, stride, k * dilation - padding);
      for (std::int64_t operand = range.begin; operand < range.end; ++operand)
        f(static_cast<std::size_t>(operand * stride + range.shift), AxisTerms::Term{operand, k});
    }
  };
  axis.ends.resize(static_cast<std::size_t>(outputs));
  std::size_t count = 0;
  for_each_term([&](std::size_t output, const AxisTerms::Term&) { ++axis.ends[output], ++count; });
  std::exclusive_scan(axis.ends.begin(), axis.ends.end(), axis.ends.begin(), std::size_t{0});  // where each one begins
  axis.terms.resize(count);
  for_each_term([&](std::size_t output, const AxisTerms::Term& term) { axis.terms[axis.ends[output]++] = term; });
  return axis;
}

/// Of the ordinary convolution, its adjoint.
inline AxisTerms ordinary_terms(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                                std::int64_t padding, std::int64_t dilation) {
  AxisTerms axis;
  for (std::int64_t input = 0; input < inputs; ++input) {
    const TapRange taps = tap_range(kernel, outputs, dilation, input * stride - padding);
    for (std::int64_t k = taps.begin; k < taps.end; ++k) axis.terms.push_back({k * dilation + taps.shift, k});
    axis.ends.push_back(axis.terms.size());
  }
  return axis;
}

}  // namespace dygrad::native
