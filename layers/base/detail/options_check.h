// Checks of layers' options, with messages that name layer and argument. For the layers' .cpp files.
#pragma once

#include <string>
#include <string_view>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/core/base/dtype.h>
#include <dygrad/layers/base/param_attr.h>

namespace dygrad::detail {

/// Each throws InvalidArgument, or DtypeError, unless the argument is as said.
class OptionsCheck {
 public:
  explicit OptionsCheck(std::string_view layer) : layer_(layer) {}

  void at_least(std::string_view argument, std::int64_t value, std::int64_t least) const;
  void at_least(std::string_view argument, Pair value, std::int64_t least) const;
  void divides(std::int64_t groups, std::string_view argument, std::int64_t value) const;
  void between(std::string_view argument, double value, double low, double high) const;
  void finite(std::string_view argument, double value) const;
  void not_negative(const Padding2D& padding) const;
  /// The weight's attribute is not `false`.
  void weight_wanted(const ParamAttrLike& attr) const;
  void floating(DType dtype) const;
  /// The function behind `act`; null for none.
  ActivationFunction activation(const std::string& act) const;
  [[noreturn]] void fail(std::string_view argument, std::string_view expected, std::string_view got) const;

 private:
  std::string_view layer_;
};

}  // namespace dygrad::detail
