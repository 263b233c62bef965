// Sums too long for the way in which an algorithm adds. For the .cpp files of backends/.
//
// Note [Long sums]
// Most algorithms add the products of an element one after another, so that rounding errors grow with the number of
// them. Beyond some length the sum is split (split-K): a problem is cut in halves along what it sums over, as often as
// it takes, and partial results are added pairwise. An error then grows with the length of a part and with the number
// of halvings, which is the logarithm of the number of parts.
// Source: Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993.
#pragma once

#include <cstdint>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// Most products that are summed into one element of the result.
std::int64_t sum_length(const Problem& problem);

/// Sums of up to `max_unsplit` products are left to the algorithm; longer ones are cut into parts of up to `part`.
struct SumLengths {
  std::int64_t max_unsplit, part;
};

/// Recursive summation (Higham): each product is added to the sum of those before it.
inline constexpr SumLengths kRecursive{1 << 14, 1 << 11};

/// Blocked summation: recursive in blocks of a few hundred products, whose sums are added.
inline constexpr SumLengths kBlocked{1 << 17, 1 << 17};
/// Shorter sums are recursive there too: blocks would gain little.
inline bool sums_in_blocks(const Problem& problem) { return sum_length(problem) > kRecursive.max_unsplit; }

/// An algorithm whose long sums are split.
class SplitK : public Algorithm {
 public:
  Tensor run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const final;

 protected:
  virtual SumLengths sum_lengths(const Problem&) const { return kRecursive; }
  /// As Algorithm::run, for sums of these lengths.
  virtual Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b,
                             const Epilogue& epilogue) const = 0;

 private:
  Tensor run_in_parts(const Problem& problem, const Tensor& a, const Tensor& b) const;
};

}  // namespace dygrad
