#include <dygrad/core/tensor/tensor.h>

#include <cmath>
#include <limits>

#include <dygrad/core/base/detail/convert.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

void TensorImpl::destroy() const noexcept { delete this; }

Tensor Tensor::empty(const Shape& shape, DType dtype, MemoryFormat format) {
  const DenseLayout layout = dense_layout(shape, format);
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(layout.num_elements, static_cast<std::int64_t>(size_of(dtype)), &bytes))
    bytes = dygrad::num_bytes(shape, size_of(dtype));  // which says what is wrong
  return Tensor(
      make_ref<TensorImpl>(Storage::allocate(static_cast<std::size_t>(bytes)), shape, layout.strides, 0, dtype));
}

std::int64_t Tensor::dim(int axis) const {
  if (rank() == 0) {
    throw ShapeError(Message("dim", "a tensor of rank 0 has no dimensions.")
                         .expected("rank at least 1")
                         .got("axis {}", axis)
                         .fix("ask for rank() first"));
  }
  return shape()[normalize_axis(axis, rank(), "dim")];
}

std::int64_t Tensor::num_elements() const {
  std::int64_t product = 1;
  for (std::int64_t extent : shape()) product *= extent;  // valid: checked when the tensor was made
  return product;
}

std::int64_t Tensor::num_bytes() const { return num_elements() * static_cast<std::int64_t>(size_of(dtype())); }

bool Tensor::is_contiguous(MemoryFormat format) const {
  if (format == MemoryFormat::channels_last && rank() != 4) return false;
  return is_dense(shape(), strides(), format);
}

std::optional<MemoryFormat> Tensor::memory_format() const {
  if (is_contiguous()) return MemoryFormat::row_major;
  if (is_contiguous(MemoryFormat::channels_last)) return MemoryFormat::channels_last;
  return std::nullopt;
}

void Tensor::fail_undefined() {
  throw detail::UndefinedTensor(
      Message("tensor", "used before it was given a value.").fix("assign a tensor to it first, or test defined()"));
}

void Tensor::check_access(DType dtype) const {
  if (dtype != this->dtype()) {
    throw DtypeError(Message("tensor access", "read or written as the wrong type.")
                         .expected("{}", this->dtype())
                         .got("{}", dtype)
                         .fix("use the matching C++ type, or convert with to()"));
  }
  if (!is_contiguous()) {
    throw ShapeError(Message("tensor access", "only contiguous tensors can be seen as a span.")
                         .line("shape {}, strides {}", shape(), strides())
                         .fix("call contiguous() first"));
  }
  if (!device().is_host())
    throw BackendError(Message("tensor access", "the tensor is not in host memory.").fix("copy it to the host first"));
}

namespace {
void check_one_element(const Tensor& tensor) {
  if (tensor.num_elements() != 1) {
    throw ShapeError(Message("item", "needs a tensor of one element.")
                         .expected("1 element")
                         .got("shape {}", tensor.shape())
                         .fix("select an element with at({{...}}), or reduce first"));
  }
}
}  // namespace

double Tensor::item_as_double() const {
  check_one_element(*this);
  const double value = dispatch_all(dtype(), [&]<class T>() { return static_cast<double>(*data<T>()); });
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;  // streams print a NaN's sign
}

std::int64_t Tensor::item_as_int64() const {
  check_one_element(*this);
  return dispatch_all(dtype(), [&]<class T>() { return kernel::convert<std::int64_t>(*data<T>()); });
}

Tensor Tensor::element(const Dims& indices) const {
  if (indices.rank() != rank()) {
    throw ShapeError(Message("at", "needs one index per dimension.")
                         .expected("{} indices for shape {}", rank(), shape())
                         .got("{}", indices)
                         .fix("give {} indices, or select a slice with select() first", rank()));
  }
  Tensor result = *this;
  for (int axis = 0; axis < rank(); ++axis) {
    const std::int64_t extent = shape()[axis];
    if (indices[axis] < -extent || indices[axis] >= extent) {
      throw ShapeError(Message("at", "an index is out of range.")
                           .line("shape {}, indices {}", shape(), indices)
                           .expected("an index in [{}, {}) along axis {}", -extent, extent, axis)
                           .got("{}", indices[axis])
                           .fix("count from 0, or from -1 for the last one"));
    }
    result = view::select(result, 0, indices[axis]);
  }
  return result;
}

}  // namespace dygrad
