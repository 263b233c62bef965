// SGD: plain gradient descent.
#pragma once

#include <vector>

#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

/// p -= lr g.
class DYGRAD_API SGD : public Optimizer {
 public:
  struct Options {
    LearningRate learning_rate = 0.001;
    Regularizer regularization{};
    GradientClip grad_clip{};
    bool advance_schedule = false;  ///< advance the schedule in each step(), as Paddle 1.8; else the user does
  };
  explicit SGD(std::vector<Parameter> parameters);
  SGD(std::vector<Parameter> parameters, Options options);

 private:
  void update(const OptimizerUpdate& update) override;
};

}  // namespace dygrad
