#include <dygrad/layers/base/parameter.h>

#include <cmath>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/layers/support/number_range.h>

namespace dygrad {

namespace {
detail::NameClaim claim_name(const ParamAttr& attr) {
  return attr.name.empty() ? detail::claim_counted_name("parameter") : detail::claim_parameter_name(attr.name);
}

void check_regularizer(const char* op, DType dtype, const Regularizer& regularizer) {
  if (detail::is_finite_as(dtype, regularizer.coefficient())) return;
  throw InvalidArgument(Message(op, "the regularizer's coefficient is infinite in the parameter's dtype.")
                            .expected("a number that is finite as {}", dtype)
                            .got("{}", regularizer.coefficient())
                            .fix("use a smaller number, or float64"));
}

Tensor checked_value(const Tensor& value, const ParamAttr& attr) {
  detail::check_defined("Parameter", "the value", value);
  detail::check_learning_rate_factor("Parameter", attr.learning_rate);
  if (!is_floating(value.dtype())) {
    throw DtypeError(Message("Parameter", "the dtype cannot be trained.")
                         .expected("float32 or float64")
                         .got("{}", value.dtype())
                         .fix("convert first: value.to(float32); a constant belongs in a buffer"));
  }
  check_regularizer("Parameter", value.dtype(), attr.regularizer);
  if (kernel::has_shared_elements(value)) {
    throw InvalidArgument(Message("Parameter", "several elements of the value lie in one place in memory.")
                              .line("shape {}, strides {}", value.shape(), value.strides())
                              .expected("a place in memory for each element")
                              .got("a view that repeats some, as expand() makes")
                              .fix("pass value.clone()"));
  }
  return view::alias(value);
}
}  // namespace

void detail::check_learning_rate_factor(std::string_view op, double factor) {
  if (factor >= 0 && std::isfinite(factor)) return;
  throw InvalidArgument(Message(op, "the factor on the learning rate is out of range.")
                            .expected("a finite number >= 0")
                            .got("{}", factor)
                            .fix("give 1 for the optimizer's rate, 0 to keep the values"));
}

Parameter::Parameter(const Tensor& value, const ParamAttr& attr)
    : Parameter(value, attr, detail::with_out_of_memory("Parameter", [&] {
                  (void)checked_value(value, attr);  // before a name is taken
                  return claim_name(attr);
                })) {}

Parameter::Parameter(const Tensor& value, const ParamAttr& attr, detail::NameClaim name)
    : Tensor(detail::with_out_of_memory("Parameter", [&] { return checked_value(value, attr); })) {
  detail::with_out_of_memory("Parameter", [&] {
    info_ = std::make_shared<Info>(Info{std::move(name), attr});
    adopt();
  });
}

void Parameter::adopt() {
  set_stop_gradient(false);
  static_cast<LeafNode*>(impl()->autograd.get())->label = name();
  set_trainable(info_->attr.trainable);
}

const std::string& Parameter::name() const {
  static const std::string& none = *new std::string;  // see Note [Static destruction] in core/base/detail/per_thread.h
  return info_ ? info_->name.name() : none;
}

void Parameter::set_value(const Tensor& source) {
  try {
    Tensor::set_value(source);
  } catch (InvalidArgument& error) {
    if (defined()) {
      error.add_context(detail::with_out_of_memory(
          "set_value", [this] { return fmt::format("parameter \"{}\" {} {}", name(), dtype(), shape()); }));
    }
    throw;
  }
}

double Parameter::learning_rate() const { return info().attr.learning_rate; }
void Parameter::set_learning_rate(double factor) {
  detail::check_learning_rate_factor("set_learning_rate", factor);
  info().attr.learning_rate = factor;
}
Regularizer Parameter::regularizer() const { return info().attr.regularizer; }
void Parameter::set_regularizer(Regularizer regularizer) {
  check_regularizer("set_regularizer", dtype(), regularizer);
  info().attr.regularizer = regularizer;
}
bool Parameter::need_clip() const { return info().attr.need_clip; }
void Parameter::set_need_clip(bool need) { info().attr.need_clip = need; }
bool Parameter::do_model_average() const { return info().attr.do_model_average; }

Parameter::Info& Parameter::info() const {
  if (!info_)
    throw InvalidArgument(
        Message("Parameter", "the parameter is undefined.").fix("construct it from a tensor, or test defined() first"));
  return *info_;
}

}  // namespace dygrad
