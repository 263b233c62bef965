#include <dygrad/core/kernels/copy.h>

#include <atomic>

#include <dygrad/core/base/detail/convert.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/tensor/detail/layout.h>

namespace dygrad::kernel {

namespace {

std::atomic<std::int64_t> conversions{0};

}  // namespace

void copy(const Tensor& source, const Tensor& destination) {
  if (source.shape() != destination.shape()) {
    throw ShapeError(Message("copy", "shapes differ.")
                         .expected("a source of shape {}, as the destination", destination.shape())
                         .got("{}", source.shape())
                         .fix("reshape or expand the source first"));
  }
  if (overlaps(source, destination)) return copy(clone(source), destination);
  dispatch_all(destination.dtype(), [&]<class To>() {
    dispatch_all(source.dtype(),
                 [&]<class From>() { map_into<To, From>([](From v) { return convert<To>(v); }, destination, source); });
  });
}

void fill(const Tensor& destination, double value) {
  dispatch_all(destination.dtype(), [&]<class T>() {
    const T v = convert<T>(value);
    map_into<T>([v] { return v; }, destination);
  });
}

Tensor clone(const Tensor& x) {
  Tensor result = empty_like(x, x.dtype());
  copy(x, result);
  return result;
}

Tensor clone(const Tensor& x, MemoryFormat format) {
  Tensor result = Tensor::empty(x.shape(), x.dtype(), format);
  copy(x, result);
  return result;
}

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.is_contiguous(format)) return x;
  conversions.fetch_add(1, std::memory_order_relaxed);
  return clone(x, format);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor result = empty_like(x, dtype);
  copy(x, result);
  return result;
}

Tensor empty_like(const Tensor& x, DType dtype) {
  return Tensor::empty(x.shape(), dtype, x.memory_format().value_or(MemoryFormat::row_major));
}

std::int64_t layout_conversions() { return conversions.load(std::memory_order_relaxed); }

}  // namespace dygrad::kernel
