// Gradient clipping. It comes before regularisation and leaves out parameters with need_clip = false.
#pragma once

#include <optional>
#include <variant>

#include <dygrad/core/export.h>

namespace dygrad {

/// Each element into [min, max]; `min` defaults to -max. Throws InvalidArgument unless min <= max.
struct GradientClipByValue {
  double max = 1;
  std::optional<double> min{};
};

/// Each gradient g times clip_norm / |g| where its own 2-norm |g| exceeds clip_norm.
struct GradientClipByNorm {
  double clip_norm = 1;
};

/// All gradients times clip_norm / max(n, clip_norm), where n is the 2-norm of all of them taken together.
struct GradientClipByGlobalNorm {
  double clip_norm = 1;
};

/// One of the above, or none.
class DYGRAD_API GradientClip {
 public:
  GradientClip() = default;
  GradientClip(GradientClipByValue clip);
  /// Throws InvalidArgument unless clip_norm > 0.
  GradientClip(GradientClipByNorm clip);
  GradientClip(GradientClipByGlobalNorm clip);

  const GradientClipByValue* by_value() const { return std::get_if<GradientClipByValue>(&kind_); }
  const GradientClipByNorm* by_norm() const { return std::get_if<GradientClipByNorm>(&kind_); }
  const GradientClipByGlobalNorm* by_global_norm() const { return std::get_if<GradientClipByGlobalNorm>(&kind_); }

 private:
  std::variant<std::monostate, GradientClipByValue, GradientClipByNorm, GradientClipByGlobalNorm> kind_;
};

}  // namespace dygrad
