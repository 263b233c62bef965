// fmt support: fmt::format("{}", tensor) prints what `std::cout << tensor` does. Shapes print as [2, 3], dtypes by
// name. Not part of the umbrella header, which stays free of fmt: include it where you format.
#pragma once

#include <fmt/format.h>

#include <dygrad/core/dtype.h>
#include <dygrad/core/print.h>
#include <dygrad/core/shape.h>
#include <dygrad/core/tensor.h>

template <>
struct fmt::formatter<dygrad::DType> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(dygrad::DType dtype, Context& context) const {
    const std::string_view name = dygrad::name_of(dtype);
    return fmt::formatter<fmt::string_view>::format({name.data(), name.size()}, context);
  }
};

template <>
struct fmt::formatter<dygrad::Dims> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const dygrad::Dims& dims, Context& context) const {
    const std::string text = dygrad::to_string(dims);
    return fmt::formatter<fmt::string_view>::format({text.data(), text.size()}, context);
  }
};

template <>
struct fmt::formatter<dygrad::Tensor> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const dygrad::Tensor& tensor, Context& context) const {
    const std::string text = dygrad::to_string(tensor);
    return fmt::formatter<fmt::string_view>::format({text.data(), text.size()}, context);
  }
};
