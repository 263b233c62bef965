// Parameter: a leaf tensor with a name and training attributes. Layers own them, optimizers update them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <dygrad/core/tensor/tensor.h>
#include <dygrad/layers/base/naming.h>
#include <dygrad/layers/base/param_attr.h>

namespace dygrad {

namespace detail {
/// Throws InvalidArgument unless finite and not negative.
void check_learning_rate_factor(std::string_view op, double factor);
}  // namespace detail

/// A handle: copies are the same parameter, so `b.weight = a.weight` shares it between layers. A default-made one is
/// undefined: the bias of a layer with `.bias_attr = false`.
/// Names are unique among the living parameters of one naming scope (see UniqueNameGuard); the name of a parameter
/// whose last handle is gone may be taken again.
class DYGRAD_API Parameter : public Tensor {
 public:
  Parameter() = default;
  Parameter(std::nullptr_t) {}
  /// A parameter on `value`'s memory. Without attr.name it is called parameter_0, parameter_1, ...
  /// Throws DtypeError unless floating-point; InvalidArgument if a living parameter has that name, if several elements
  /// of `value` lie in one place, if attr.learning_rate is negative or not finite, or if attr.regularizer's coefficient
  /// is not finite in the dtype.
  explicit Parameter(const Tensor& value, const ParamAttr& attr = {});
  Parameter(const Tensor& value, const ParamAttr& attr, detail::NameClaim name);

  /// Empty if undefined.
  const std::string& name() const;
  /// The opposite of stop_gradient(); false if undefined.
  bool trainable() const { return !stop_gradient(); }
  /// A frozen parameter gets no gradient and no update, not even by weight decay.
  void set_trainable(bool trainable) { set_stop_gradient(!trainable); }

  /// As Tensor's, with errors that name the parameter.
  void set_value(const Tensor& source);

  /// The factor on the optimizer's learning rate. Throws InvalidArgument if negative or not finite.
  double learning_rate() const;
  void set_learning_rate(double factor);
  Regularizer regularizer() const;
  /// Throws InvalidArgument if the coefficient is not finite in the parameter's dtype.
  void set_regularizer(Regularizer regularizer);
  bool need_clip() const;
  void set_need_clip(bool need);
  bool do_model_average() const;

 private:
  struct Info {
    detail::NameClaim name;
    ParamAttr attr;
  };
  Info& info() const;
  void adopt();

  std::shared_ptr<Info> info_;
};

}  // namespace dygrad
