// Dropout: zeroes elements at random in training.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/core/creation/random.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Each element is dropped with probability p.
///   "downgrade_in_infer" (default, as Paddle): training y = x * mask; evaluation y = x * (1 - p).
///   "upscale_in_train":                        training y = x * mask / (1 - p), 0 if p = 1; evaluation y = x.
/// Throws InvalidArgument unless 0 <= p <= 1, and for another implementation.
class DYGRAD_API Dropout : public Layer {
 public:
  struct Options {
    double p = 0.5;
    std::uint64_t seed = 0;  ///< 0: default_generator(); else a stream of its own, which checkpoints keep
    std::string dropout_implementation = "downgrade_in_infer";
    bool is_test = false;  ///< behave as in evaluation mode, always
  };

  Dropout();
  explicit Dropout(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

 private:
  Options options_;
  Generator generator_;
};

}  // namespace dygrad
