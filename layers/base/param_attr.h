// ParamAttr: how a layer's parameter is made and trained; ParamAttrLike: the forms in which options take it.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <utility>

#include <dygrad/layers/base/regularizer.h>
#include <dygrad/layers/init/initializer.h>

namespace dygrad {

struct ParamAttr {
  std::string name{};            ///< replaces the generated name; empty: generate one
  Initializer initializer{};     ///< none: the global initializer if set, else the layer's default
  double learning_rate = 1;      ///< multiplies the optimizer's rate
  Regularizer regularizer{};     ///< replaces the optimizer's for this parameter
  bool trainable = true;         ///< false: no gradient, no update
  bool do_model_average = true;  ///< for optimizers that average models
  bool need_clip = true;         ///< false: gradient clipping leaves this parameter out
};

/// An argument `param_attr` or `bias_attr`: nothing or true (defaults), false (no such parameter), a name ("" is the
/// default), an initializer, a regularizer, or a ParamAttr:
///   .param_attr = Normal{.scale = 0.02}, .bias_attr = false
///   .param_attr = ParamAttr{.name = "shared", .learning_rate = 0.1}
class ParamAttrLike {
 public:
  ParamAttrLike() = default;
  ParamAttrLike(std::nullopt_t) {}
  template <std::same_as<bool> Bool>
  ParamAttrLike(Bool wanted) : wanted_(wanted) {}
  ParamAttrLike(const char* name) : attr_{.name = name} {}
  ParamAttrLike(std::string name) : attr_{.name = std::move(name)} {}
  ParamAttrLike(ParamAttr attr) : attr_(std::move(attr)) {}
  template <class Rule>
  requires(!std::same_as<Rule, ParamAttrLike> && InitializerRule<Rule>) ParamAttrLike(Rule initializer)
      : attr_{.initializer = std::move(initializer)} {}
  template <class Decay>
  requires(std::same_as<Decay, L1Decay> || std::same_as<Decay, L2Decay> || std::same_as<Decay, Regularizer>)
      ParamAttrLike(Decay regularizer)
      : attr_{.regularizer = regularizer} {}

  /// False only for `false`.
  bool wanted() const { return wanted_; }
  const ParamAttr& attr() const { return attr_; }

 private:
  bool wanted_ = true;
  ParamAttr attr_;
};

}  // namespace dygrad
