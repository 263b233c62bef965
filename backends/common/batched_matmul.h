// Products of strided, batched matrices through any routine with the interface of BLAS's gemm: operands are used in
// place where their strides are those of a stored matrix or its transpose, and the work is split over our threads. For
// the .cpp files of backends/.
#pragma once

#include <cstdint>
#include <limits>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/matmul_sizes.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

/// A row-major matrix operand as BLAS sees it: the elements as stored, or their transpose.
template <class T>
struct MatrixOperand {
  const T* data;
  std::int64_t leading;  ///< distance between stored rows, in elements
  bool transposed = false;
};

/// The last two dimensions of a tensor as BLAS can take them; a row-major copy where the strides do not allow it.
class Matrices {
 public:
  explicit Matrices(const Tensor& x) : tensor_(x) {
    if (!fits()) {
      tensor_ = kernel::clone(x, MemoryFormat::row_major);
      transposed_ = false;
      fits();
    }
  }

  /// The matrix at a flattened batch index, from the given row and column on.
  template <class T>
  MatrixOperand<T> operand(std::int64_t batch, std::int64_t row, std::int64_t column) const {
    const T* data = tensor_.data<T>() + row * row_stride() + column * column_stride();
    for (int d = tensor_.rank() - 3; d >= 0; --d) {
      data += batch % tensor_.shape()[d] * tensor_.strides()[d];
      batch /= tensor_.shape()[d];
    }
    return {data, leading_, transposed_};
  }

 private:
  std::int64_t row_stride() const { return tensor_.strides()[tensor_.rank() - 2]; }
  std::int64_t column_stride() const { return tensor_.strides()[tensor_.rank() - 1]; }

  /// Strides along extents of 1 mean nothing, and are replaced by ones that BLAS accepts.
  bool fits() {
    const std::int64_t rows = tensor_.dim(-2), columns = tensor_.dim(-1);
    if ((column_stride() == 1 || columns == 1) && (row_stride() >= columns || rows == 1)) {
      leading_ = rows == 1 ? columns : row_stride();
      return leading_ <= kMaxLeading;
    }
    if ((row_stride() == 1 || rows == 1) && (column_stride() >= rows || columns == 1)) {
      transposed_ = true;
      leading_ = columns == 1 ? rows : column_stride();
      return leading_ <= kMaxLeading;
    }
    return false;
  }

  static constexpr std::int64_t kMaxLeading = std::numeric_limits<int>::max();  // BLAS counts in int

  Tensor tensor_;
  std::int64_t leading_ = 0;
  bool transposed_ = false;
};

/// a [B..., M, K] times b [B..., K, N], row-major. `multiply(m, n, k, a, b, c, leading_c)` writes one product; it is
/// called on several threads at once and must not throw.
template <class T, class Multiply>
Tensor batched_matmul(const Tensor& a, const Tensor& b, const Multiply& multiply) {
  const MatmulSizes s(a, b);
  const Tensor c = Tensor::empty(s.c_shape, a.dtype());
  if (s.k == 0) kernel::fill(c, 0);
  if (s.k == 0 || c.num_elements() == 0) return c;
  const Matrices left(a), right(b);
  T* result = c.mutable_data<T>();

  const double work = static_cast<double>(s.batch) * static_cast<double>(s.m * s.n) * static_cast<double>(s.k);
  const std::int64_t chunks = num_chunks(work, s.batch * std::max(s.m, s.n));
  const std::int64_t parts = std::min(ceil_div(chunks, s.batch), std::max(s.m, s.n));  // of each matrix of the batch
  const std::int64_t blocks = s.batch * parts;
  parallel_for(blocks, ceil_div(blocks, chunks), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t batch = block / parts;
      Range rows{0, s.m}, columns{0, s.n};
      Range& longer = s.m >= s.n ? rows : columns;
      longer = part_of(longer, block % parts, parts);
      multiply(rows.size(), columns.size(), s.k, left.operand<T>(batch, rows.first, 0),
               right.operand<T>(batch, 0, columns.first), result + (batch * s.m + rows.first) * s.n + columns.first,
               s.n);
    }
  });
  return c;
}

}  // namespace dygrad
