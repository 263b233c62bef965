// Making tensors: from values, from memory, from rules. Everything here starts with stop_gradient() true.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

namespace detail {
[[noreturn]] DYGRAD_API void fail_large_integer(std::uint64_t value);
}  // namespace detail

/// A number or a nested list of them: what `tensor({{1, 2}, {3, 4}})` takes.
class DYGRAD_API NestedList {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> NestedList(T value)
      : dtype_(std::is_same_v<T, bool>       ? DType::boolean
               : std::is_floating_point_v<T> ? DType::float32
                                             : DType::int64),
        number_(static_cast<double>(value)) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
      if (value > static_cast<T>(INT64_MAX)) detail::fail_large_integer(value);
    }
    if constexpr (std::is_integral_v<T>) integer_ = static_cast<std::int64_t>(value);
  }
  NestedList(std::initializer_list<NestedList> items);

  bool is_list() const { return is_list_; }
  DType dtype() const { return dtype_; }
  double number() const { return number_; }
  std::int64_t integer() const { return integer_; }  ///< 0 for a floating number
  const std::vector<NestedList>& items() const { return items_; }

 private:
  bool is_list_ = false;
  DType dtype_ = DType::float32;
  double number_ = 0;
  std::int64_t integer_ = 0;
  std::vector<NestedList> items_;
};

/// `tensor({{1., 2.}, {3., 4.}})`. Without a dtype: floating numbers give float32, integers int64, bools bool;
/// a mixed list takes the widest. Numbers are converted as by to(): floats to integers truncate and saturate, NaN
/// becomes 0; a float64 number that float32 does not hold becomes infinite. Throws ShapeError for a ragged list,
/// InvalidArgument for an unsigned number above 2^63 - 1.
DYGRAD_API Tensor tensor(const NestedList& values);
DYGRAD_API Tensor tensor(const NestedList& values, DType dtype);

namespace detail {
/// from_span, whose errors name `op`.
template <class T>
Tensor from_values(std::string_view op, std::span<const T> values, const Shape& shape);
}  // namespace detail

/// A copy of `values`, in row-major order. Throws ShapeError if their number does not fit the shape.
template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape) {
  return detail::from_values("from_span", values, shape);
}
template <class T>
Tensor from_vector(const std::vector<T>& values, const Shape& shape) {
  return detail::from_values("from_vector", std::span<const T>(values), shape);
}
template <class T>
Tensor from_vector(const std::vector<T>& values) {
  return from_vector(values, Shape(static_cast<std::int64_t>(values.size())));
}

/// Borrows row-major memory without copying; `deleter(data)` runs once: when the last tensor on it goes or, as a
/// std::shared_ptr's, if this call throws. What changes the bytes from outside goes unseen by gradients that are still
/// to be computed from them: call write() on a tensor after each change, and they throw instead of being wrong. Throws
/// InvalidArgument if `data` is null, but for 0 bytes, or not aligned for the dtype, or for bool has a byte other than
/// 0 and 1; ShapeError; OutOfMemory.
DYGRAD_API Tensor from_memory(void* data, const Shape& shape, DType dtype, std::function<void(void*)> deleter = {});

/// `value` is converted to the dtype as by to(): one that float32 does not hold becomes infinite, and integers truncate
/// and saturate. Throws ShapeError on a negative extent.
DYGRAD_API Tensor full(const Shape& shape, double value, DType dtype = DType::float32);
DYGRAD_API Tensor zeros(const Shape& shape, DType dtype = DType::float32);
DYGRAD_API Tensor ones(const Shape& shape, DType dtype = DType::float32);
/// In x's shape and dtype, and in x's order in memory where x is dense; `value` is converted as by full().
DYGRAD_API Tensor full_like(const Tensor& x, double value);
DYGRAD_API Tensor zeros_like(const Tensor& x);
DYGRAD_API Tensor ones_like(const Tensor& x);

/// start + i step for i = 0, 1, ..., all before stop: ceil((stop - start) / step) values, computed in float64 and then
/// rounded to a floating dtype, or exactly in int64 for an integer one. A value that reaches stop but for the rounding
/// of the arguments is left out, so that arange(1, 1.6, 0.1, float64) ends with 1.5. Throws InvalidArgument if step is
/// 0 or leads away from stop, or an integer dtype does not hold a value; DtypeError if it would lose the fractions of
/// start or step.
DYGRAD_API Tensor arange(double start, double stop, double step, DType dtype);
/// The same in int64, or in float32 if start or step has a fraction.
DYGRAD_API Tensor arange(double start, double stop, double step = 1);
inline Tensor arange(std::int64_t stop, DType dtype = DType::int64) {
  return arange(0, static_cast<double>(stop), 1, dtype);
}
/// `count` evenly spaced values, both ends included; one value is `start`. Computed in float64, then rounded. Throws
/// InvalidArgument if count < 0 or an end is not finite in the dtype, DtypeError unless float32 or float64.
DYGRAD_API Tensor linspace(double start, double stop, std::int64_t count, DType dtype = DType::float32);
/// Ones on the main diagonal of a rows x columns matrix; square without the second number. Throws ShapeError if a
/// number is negative.
DYGRAD_API Tensor eye(std::int64_t rows, std::int64_t columns = -1, DType dtype = DType::float32);

}  // namespace dygrad
