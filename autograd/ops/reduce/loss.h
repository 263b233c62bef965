// Losses. No broadcasting: prediction and target have equal shapes (ShapeError) and floating dtypes (DtypeError).
// `reduction` says whether the elements' losses are averaged (default), summed, or returned as they are. Sums are
// pairwise, so their error grows with the logarithm of the number of elements.
#pragma once

#include <cstdint>
#include <optional>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

enum class Reduction : std::uint8_t { mean, sum, none };

namespace detail {
/// Throws InvalidArgument for a value outside of the list.
void check_reduction(Reduction reduction);
}  // namespace detail

/// (x - y)^2.
DYGRAD_API Tensor mse_loss(const Tensor& x, const Tensor& y, Reduction reduction = Reduction::mean);
/// The elementwise square error, Paddle's square_error_cost.
DYGRAD_API Tensor square_error_cost(const Tensor& x, const Tensor& y);
/// |x - y|.
DYGRAD_API Tensor l1_loss(const Tensor& x, const Tensor& y, Reduction reduction = Reduction::mean);
/// (x - y)^2 / (2 beta) where |x - y| < beta, else |x - y| - beta / 2. Throws InvalidArgument unless beta,
/// in the dtype, is positive and finite.
DYGRAD_API Tensor smooth_l1_loss(const Tensor& x, const Tensor& y, Reduction reduction = Reduction::mean,
                                 double beta = 1);
/// max(x, 0) - x z + log(1 + e^-|x|) with x = logits, z = target: binary cross-entropy of sigmoid(x), stable; 0 for an
/// infinite logit of the right sign.
DYGRAD_API Tensor bce_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction = Reduction::mean);

struct CrossEntropyOptions {
  int axis = -1;                               ///< the class dimension; 1 for [N, C, H, W] segmentation
  bool soft_label = false;                     ///< labels are floating-point distributions of logits' shape
  std::optional<std::int64_t> ignore_index{};  ///< int64 labels that have loss 0 and are not counted by the mean
  Reduction reduction = Reduction::mean;
};
/// -log_softmax(logits)[label]. Labels are int64, of logits' shape without the class dimension (or with extent 1
/// there), or with soft_label floating-point of logits' shape. Without reduction the result has logits' shape without
/// the class dimension. An infinite logit has probability 1 and all other classes 0. A class of probability 0 adds
/// nothing if its soft label is 0. Throws ShapeError, DtypeError, and InvalidArgument for a label outside [0, classes).
DYGRAD_API Tensor softmax_with_cross_entropy(const Tensor& logits, const Tensor& label,
                                             const CrossEntropyOptions& options = {});

}  // namespace dygrad
