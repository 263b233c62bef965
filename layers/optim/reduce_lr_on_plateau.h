// ReduceLROnPlateau: lowers the rate when a loss stops getting better.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/core/tensor/tensor.h>
#include <dygrad/layers/optim/schedule.h>

namespace dygrad {

/// A Schedule that follows a loss: plateau.step(loss). A loss is better if below best - |best| threshold ("rel"; losses
/// may have either sign) or best - threshold ("abs"), mirrored for mode "max". After more than `patience` calls without
/// a better one the rate becomes max(lr decay_rate, min_lr), if that changes it by more than eps, and the next
/// `cooldown` calls do not count. A NaN is never better.
class DYGRAD_API ReduceLROnPlateau : public Schedule {
 public:
  struct Options {
    double learning_rate = 0;
    std::string mode = "min";  ///< or "max"
    double decay_rate = 0.1;   ///< in [0, 1)
    std::int64_t patience = 10;
    double threshold = 1e-4;
    std::string threshold_mode = "rel";  ///< or "abs"
    std::int64_t cooldown = 0;
    double min_lr = 0;
    double eps = 1e-8;
  };

  /// Throws InvalidArgument for fields outside their range: numbers are finite and not negative.
  explicit ReduceLROnPlateau(Options options);
  void step(double loss);
  /// A tensor of one element; ShapeError otherwise.
  void step(const Tensor& loss) { step(loss.item()); }

 private:
  struct Plateau;
};

}  // namespace dygrad
