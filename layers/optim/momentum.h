// Momentum: gradient descent with velocity.
#pragma once

#include <vector>

#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

/// v = momentum v + g; p -= lr v, or with Nesterov p -= lr (g + momentum v). No dampening.
/// Throws InvalidArgument unless 0 <= momentum <= 1.
/// Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
class DYGRAD_API Momentum : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    double momentum = 0.9;
    bool use_nesterov = false;
    Regularizer regularization{};
    GradientClip grad_clip{};
    bool advance_schedule = false;  ///< advance the schedule in each step(), as Paddle 1.8; else the user does
  };
  explicit Momentum(std::vector<Parameter> parameters);
  Momentum(std::vector<Parameter> parameters, Options options);

 private:
  void update(const OptimizerUpdate& update) override;

  double momentum_;
  bool use_nesterov_;
};

}  // namespace dygrad
