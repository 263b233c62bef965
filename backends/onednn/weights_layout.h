// The layouts in which primitives want weights, and copies between them and dygrad's own. The library converts weights
// in dygrad's order one number at a time, which in training, where they change in every step, takes longer than the
// convolution of a small layer.
//
// Note [Blocked layouts]
// A layout has a stride for each dimension and, inside of that, blocks: some of the lowest digits of an index, in a
// mixed base, are distinguished at smaller strides. The offset of a number is thus a sum with one term for each of its
// indices.
#pragma once

#include <vector>

#include <dygrad/backends/onednn/compat.h>

namespace dygrad::onednn {

/// Offsets of a blocked layout, in numbers.
class WeightsLayout {
 public:
  explicit WeightsLayout(const Blocking& blocking);

  /// offsets()[d][i]: the term of index i of dimension d.
  const std::vector<std::vector<std::int64_t>>& offsets() const { return offsets_; }
  /// There is memory between the numbers, which primitives expect to be 0.
  bool has_padding() const { return has_padding_; }

 private:
  std::vector<std::vector<std::int64_t>> offsets_;
  bool has_padding_;
};

/// Copies all numbers between two descriptors of equal dimensions, of which one is `plain`; where the other one is
/// written, its padding becomes 0. Both must be blocked.
void copy_from_plain(const dnnl::memory::desc& plain, const float* from, const dnnl::memory::desc& layout, float* to);
void copy_to_plain(const dnnl::memory::desc& layout, const float* from, const dnnl::memory::desc& plain, float* to);

}  // namespace dygrad::onednn
