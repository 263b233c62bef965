// Adam and AdamW: steps scaled by running moments of the gradient.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

/// Where Adam adds epsilon. The forms differ visibly only with a large one.
enum class AdamEpsilon : std::uint8_t {
  corrected,    ///< mhat / (sqrt(vhat) + epsilon): the paper, and Paddle 2.x
  uncorrected,  ///< m sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + epsilon): Paddle 1.8
};

namespace detail {
/// The update that Adam and AdamW share: p = keep p - step, with the step below.
class AdamRule {
 public:
  AdamRule(const char* op, double beta1, double beta2, double epsilon, AdamEpsilon epsilon_form,
           const std::vector<Parameter>& parameters);
  void operator()(const OptimizerUpdate& update) const;

 private:
  double beta1_, beta2_, epsilon_;
  AdamEpsilon epsilon_form_;
};
}  // namespace detail

/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
/// mhat = m / (1 - beta1^t); vhat = v / (1 - beta2^t); p -= lr mhat / (sqrt(vhat) + epsilon).
/// Throws InvalidArgument unless 0 <= beta < 1 and epsilon > 0, in the parameters' dtype too: without epsilon, an
/// element whose gradient has always been zero would move by 0/0. A gradient whose square overflows, in float32 above
/// about 6e20 with beta2 = 0.999, makes v infinite for good: that element no longer moves, as in PyTorch and Paddle.
/// Clip gradients by value or norm where such may come.
/// Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
class DYGRAD_API Adam : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    AdamEpsilon epsilon_form = AdamEpsilon::corrected;
    Regularizer regularization{};
    GradientClip grad_clip{};
    bool advance_schedule = false;  ///< advance the schedule in each step(), as Paddle 1.8; else the user does
  };
  explicit Adam(std::vector<Parameter> parameters);
  Adam(std::vector<Parameter> parameters, Options options);

 private:
  void update(const OptimizerUpdate& update) override;

  detail::AdamRule rule_;
};

/// p *= 1 - lr weight_decay, then Adam: decay that does not go through the moments.
/// Throws InvalidArgument as Adam, and unless weight_decay >= 0.
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
class DYGRAD_API AdamW : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    AdamEpsilon epsilon_form = AdamEpsilon::corrected;
    double weight_decay = 0.01;
    /// Which parameters decay, by name; all if empty.
    std::function<bool(const std::string& name)> apply_decay_param_fun{};
    GradientClip grad_clip{};
    bool advance_schedule = false;  ///< advance the schedule in each step(), as Paddle 1.8; else the user does
  };
  explicit AdamW(std::vector<Parameter> parameters);
  AdamW(std::vector<Parameter> parameters, Options options);

 private:
  void update(const OptimizerUpdate& update) override;
  double decoupled_decay(const Parameter& parameter) const override;

  detail::AdamRule rule_;
  double weight_decay_;
  std::function<bool(const std::string&)> decays_;
};

}  // namespace dygrad
