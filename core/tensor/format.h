// fmt support: fmt::format("{}", tensor) prints what `std::cout << tensor` does; see core/base/format.h for shapes and
// dtypes. Not part of the umbrella header, which stays free of fmt: include it where you format.
#pragma once

#include <dygrad/core/base/format.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/tensor.h>

template <>
struct fmt::formatter<dygrad::Tensor> : dygrad::detail::TextFormatter {
  template <class Context>
  auto format(const dygrad::Tensor& tensor, Context& context) const {
    return write(dygrad::to_string(tensor), context);
  }
};
