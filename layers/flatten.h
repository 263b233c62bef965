// Flatten: merges neighbouring dimensions into one.
#pragma once

#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Merges dimensions start_axis .. stop_axis, both included. Throws ShapeError at forward if x lacks one of them.
class DYGRAD_API Flatten : public Layer {
 public:
  struct Options {
    int start_axis = 1;
    int stop_axis = -1;
  };

  Flatten();
  explicit Flatten(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

}  // namespace dygrad
