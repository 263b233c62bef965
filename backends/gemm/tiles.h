// How the gemm backend cuts work: into chunks, one per thread, and each chunk into tiles whose column matrix stays
// small.
#pragma once

#include <algorithm>

#include <dygrad/backends/common/work.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::gemm {

/// Most bytes of one thread's column matrix: enough rows for an efficient product, few enough to stay near the cache.
inline constexpr std::int64_t kTileBytes = 2 << 20;

/// One column matrix of `width` columns per chunk.
template <class T>
class ColumnTiles {
 public:
  ColumnTiles(std::int64_t chunks, std::int64_t positions, std::int64_t width)
      : rows_(std::clamp<std::int64_t>(kTileBytes / (width * static_cast<std::int64_t>(sizeof(T))), 1, positions)),
        bytes_each_((rows_ * width * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64),
        memory_(Tensor::empty({chunks, bytes_each_}, DType::uint8)) {}

  T* of_chunk(std::int64_t chunk) const {
    return reinterpret_cast<T*>(memory_.mutable_data<std::uint8_t>() + chunk * bytes_each_);
  }
  /// Calls f(tile) for consecutive parts of `positions`, each with at most as many rows as a column matrix has.
  template <class F>
  void for_each(Range positions, const F& f) const {
    for (std::int64_t first = positions.first; first < positions.last; first += rows_) {
      f(Range{first, std::min(first + rows_, positions.last)});
    }
  }

 private:
  std::int64_t rows_;
  std::int64_t bytes_each_;
  Tensor memory_;
};

}  // namespace dygrad::gemm
