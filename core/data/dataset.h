// Dataset: samples by number, each a few tensors such as image and label. DataLoader makes batches of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// The tensors of one sample; or of a batch, with one more dimension in front.
using Sample = std::vector<Tensor>;

/// Implement `size` and `get`; override `batch` where rows can be gathered faster than one by one. A DataLoader calls
/// them from its background thread, one call at a time.
class DYGRAD_API Dataset {
 public:
  virtual ~Dataset() = default;
  /// Number of samples.
  virtual std::int64_t size() const = 0;
  /// Sample `index`, in [0, size()). All samples have equally many tensors, of equal shapes and dtypes.
  virtual Sample get(std::int64_t index) const = 0;
  /// The samples of these indices, stacked. Throws ShapeError or DtypeError if they do not fit each other,
  /// InvalidArgument for an undefined tensor.
  virtual Sample batch(std::span<const std::int64_t> indices) const;
};

/// Samples are the rows of tensors with equal first extents: images [N, H, W] with labels [N]. Batches copy whole rows.
class DYGRAD_API TensorDataset : public Dataset {
 public:
  /// Shares the tensors where they are dense. Throws InvalidArgument if there are none or one is undefined, ShapeError
  /// if they do not fit.
  explicit TensorDataset(std::vector<Tensor> tensors);
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t index) const override;
  Sample batch(std::span<const std::int64_t> indices) const override;

 private:
  std::vector<Tensor> tensors_;
  std::int64_t size_;
};

}  // namespace dygrad
