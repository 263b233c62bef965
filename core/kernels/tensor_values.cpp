// The methods of Tensor that move values.
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

template <class T>
std::vector<T> Tensor::to_vector() const {
  return detail::with_out_of_memory("to_vector", [this] {
    const Tensor dense = kernel::contiguous(kernel::cast(*this, dtype_of<T>()));
    const std::span<const T> values = dense.read<T>();
    return std::vector<T>(values.begin(), values.end());
  });
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<std::int64_t> Tensor::to_vector() const;
template std::vector<std::uint8_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;

void Tensor::set_value(const Tensor& source) {
  if (source.shape() != shape()) {
    throw ShapeError(Message("set_value", "shapes differ.")
                         .expected("{}", shape())
                         .got("{}", source.shape())
                         .fix("reshape or expand the source first"));
  }
  if (source.dtype() != dtype()) {
    throw DtypeError(Message("set_value", "dtypes differ.")
                         .expected("{}", dtype())
                         .got("{}", source.dtype())
                         .fix("convert first: source.to(dygrad::{})", dtype()));
  }
  if (detail::with_out_of_memory("set_value", [&] { return kernel::has_shared_elements(*this); })) {
    throw InvalidArgument(Message("set_value", "several elements of this tensor lie in one place in memory.")
                              .line("shape {}, strides {}", shape(), strides())
                              .expected("a place in memory for each element")
                              .got("a view that repeats some, as expand() makes")
                              .fix("set the tensor that was expanded, or a clone() of this one"));
  }
  const Tensor values = kernel::overlaps(source, *this) ? kernel::clone(source) : source;
  impl_->storage->bump_version();
  kernel::copy(values, *this);
}

void Tensor::fill(double value) {
  checked().storage->bump_version();
  kernel::fill(*this, value);
}

}  // namespace dygrad
