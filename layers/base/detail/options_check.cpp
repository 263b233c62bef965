#include <dygrad/layers/base/detail/options_check.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad::detail {

void OptionsCheck::fail(std::string_view argument, std::string_view expected, std::string_view got) const {
  throw InvalidArgument(Message(layer_, "{} is out of range.", argument)
                            .expected("{}", expected)
                            .got("{}", got)
                            .fix("set .{} in the options of {}", argument, layer_));
}

void OptionsCheck::at_least(std::string_view argument, std::int64_t value, std::int64_t least) const {
  if (value < least) fail(argument, fmt::format("{} >= {}", argument, least), fmt::format("{}", value));
}

void OptionsCheck::at_least(std::string_view argument, Pair value, std::int64_t least) const {
  if (value.h < least || value.w < least) {
    fail(argument, fmt::format("{} >= {}", argument, least), fmt::format("({}, {})", value.h, value.w));
  }
}

void OptionsCheck::divides(std::int64_t groups, std::string_view argument, std::int64_t value) const {
  if (value % groups != 0) {
    throw InvalidArgument(Message(layer_, "groups do not divide {}.", argument)
                              .expected("{} % groups == 0", argument)
                              .got("{} = {}, groups = {}", argument, value, groups)
                              .fix("choose groups that divide {}", argument));
  }
}

void OptionsCheck::between(std::string_view argument, double value, double low, double high) const {
  if (!(value >= low && value <= high)) {
    fail(argument, fmt::format("{} <= {} <= {}", low, argument, high), fmt::format("{}", value));
  }
}

void OptionsCheck::finite(std::string_view argument, double value) const {
  if (!std::isfinite(value)) fail(argument, "a finite number", fmt::format("{}", value));
}

void OptionsCheck::not_negative(const Padding2D& padding) const {
  const auto check = [&](std::initializer_list<std::int64_t> values, const auto& text) {
    if (std::min(values) < 0) fail("padding", "padding >= 0 on every side", text());
  };
  const auto& v = padding.values();
  switch (padding.form()) {
    case Padding2D::Form::pair:
      check({v[0], v[1]}, [&] { return fmt::format("top and bottom {}, left and right {}", v[0], v[1]); });
      break;
    case Padding2D::Form::sides:
      check({v[0], v[1], v[2], v[3]},
            [&] { return fmt::format("top {}, bottom {}, left {}, right {}", v[0], v[1], v[2], v[3]); });
      break;
    case Padding2D::Form::dims: {
      const auto& d = padding.dims();
      check({d[0].h, d[0].w, d[1].h, d[1].w, d[2].h, d[2].w, d[3].h, d[3].w}, [&] {
        return fmt::format("{{{}, {}}}, {{{}, {}}}, {{{}, {}}}, {{{}, {}}} (before and after each dimension)", d[0].h,
                           d[0].w, d[1].h, d[1].w, d[2].h, d[2].w, d[3].h, d[3].w);
      });
      break;
    }
    case Padding2D::Form::same:
    case Padding2D::Form::valid: break;
  }
}

void OptionsCheck::weight_wanted(const ParamAttrLike& attr) const {
  if (attr.wanted()) return;
  throw InvalidArgument(Message(layer_, "param_attr must not be false.")
                            .expected("a name, an initializer, a regularizer or a ParamAttr")
                            .got("false")
                            .fix("only bias_attr may be false"));
}

void OptionsCheck::floating(DType dtype) const {
  if (!is_floating(dtype)) {
    throw DtypeError(Message(layer_, "the dtype cannot be trained.")
                         .expected("dtype float32 or float64")
                         .got("{}", dtype)
                         .fix("choose float32 or float64"));
  }
}

ActivationFunction OptionsCheck::activation(const std::string& act) const {
  try {
    return dygrad::activation(act);
  } catch (const InvalidArgument& error) {
    constexpr std::string_view kFix = "\n  fix: ";
    const std::string_view text = error.what();
    const std::size_t fix = text.rfind(kFix);
    throw InvalidArgument(Message(layer_, "act \"{}\" cannot be used.", act)
                              .lines("{}", text.substr(0, fix))
                              .fix("{}", fix == text.npos ? "use another one" : text.substr(fix + kFix.size())));
  }
}

}  // namespace dygrad::detail
