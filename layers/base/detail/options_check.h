// Checks of layers' options, with messages that name layer and argument.
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
  /// The options that Conv2D and Conv2DTranspose share.
  template <class Options>
  void convolution(const Options& o) const {
    at_least("num_channels", o.num_channels, 1);
    at_least("num_filters", o.num_filters, 1);
    at_least("filter_size", o.filter_size, 1);
    at_least("stride", o.stride, 1);
    not_negative(o.padding);
    at_least("dilation", o.dilation, 1);
    at_least("groups", o.groups, 1);
    divides(o.groups, "num_channels", o.num_channels);
    divides(o.groups, "num_filters", o.num_filters);
    weight_wanted(o.param_attr);
    floating(o.dtype);
  }
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
