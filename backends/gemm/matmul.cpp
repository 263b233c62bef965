#include <dygrad/backends/gemm/blas.h>
#include <dygrad/backends/gemm/kernels.h>
#include <dygrad/backends/gemm/tiles.h>
#include <dygrad/backends/matmul_sizes.h>
#include <dygrad/core/copy.h>

namespace dygrad::gemm {

namespace {

/// The last two dimensions of x, as BLAS can take them; x itself, or a row-major copy where its strides do not allow
/// it. Distances along extents of 1 mean nothing and are replaced by ones that BLAS accepts.
struct Matrices {
  explicit Matrices(const Tensor& x) : tensor(x) {
    if (!fit()) {
      tensor = raw::clone(x, MemoryFormat::row_major);
      fit();
    }
  }

  template <class T>
  Operand<T> operand(std::int64_t batch, std::int64_t row, std::int64_t column) const {
    const T* data =
        tensor.data<T>() + row * tensor.strides()[tensor.rank() - 2] + column * tensor.strides()[tensor.rank() - 1];
    for (int d = tensor.rank() - 3; d >= 0; --d) {
      data += batch % tensor.shape()[d] * tensor.strides()[d];
      batch /= tensor.shape()[d];
    }
    return {data, leading, transposed};
  }

  Tensor tensor;
  std::int64_t leading = 0;
  bool transposed = false;

 private:
  bool fit() {
    const std::int64_t rows = tensor.dim(-2), columns = tensor.dim(-1);
    const std::int64_t row_stride = tensor.strides()[tensor.rank() - 2],
                       column_stride = tensor.strides()[tensor.rank() - 1];
    if ((column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1)) {
      leading = rows == 1 ? columns : row_stride;
      return true;
    }
    if ((row_stride == 1 || rows == 1) && (column_stride >= rows || columns == 1)) {
      transposed = true;
      leading = columns == 1 ? rows : column_stride;
      return true;
    }
    return false;
  }
};

template <class T>
void matmul(const MatmulSizes& s, const Matrices& a, const Matrices& b, T* c) {
  const double work = static_cast<double>(s.batch) * static_cast<double>(s.m * s.n) * static_cast<double>(s.k);
  const std::int64_t pieces = num_pieces(work, s.batch * std::max(s.m, s.n));
  const std::int64_t parts = std::min(ceil_div(pieces, s.batch), std::max(s.m, s.n));  // of each matrix of the batch
  parallel_for(s.batch * parts, ceil_div(s.batch * parts, pieces), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t batch = block / parts;
      Range rows{0, s.m}, columns{0, s.n};
      Range& longer = s.m >= s.n ? rows : columns;
      longer = part_of(longer, block % parts, parts);
      multiply(rows.size(), columns.size(), s.k, a.operand<T>(batch, rows.first, 0),
               b.operand<T>(batch, 0, columns.first), false, c + (batch * s.m + rows.first) * s.n + columns.first, s.n);
    }
  });
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  const MatmulSizes s(a, b);
  const Tensor c = Tensor::empty(s.c_shape, a.dtype());
  if (s.k == 0) raw::fill(c, 0);
  if (s.k == 0 || c.num_elements() == 0) return c;
  const Matrices left(a), right(b);
  dispatch_float(a.dtype(), "matmul", [&]<class T>() { matmul(s, left, right, c.mutable_data<T>()); });
  return c;
}

}  // namespace dygrad::gemm
