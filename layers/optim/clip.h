// Gradient clipping. It comes before regularisation and leaves out parameters with need_clip = false.
#pragma once

#include <cstdint>
#include <optional>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// Each element into [min, max]; `min` defaults to -max. Throws InvalidArgument unless min <= max, where min may be
/// -infinity and max infinity; an optimizer does if a finite one is infinite in the dtype of a parameter.
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
  /// Throws InvalidArgument unless clip_norm is positive and finite.
  GradientClip(GradientClipByNorm clip);
  GradientClip(GradientClipByGlobalNorm clip);

  const GradientClipByValue* by_value() const { return kind_ == Kind::by_value ? &by_value_ : nullptr; }
  const GradientClipByNorm* by_norm() const { return kind_ == Kind::by_norm ? &by_norm_ : nullptr; }
  const GradientClipByGlobalNorm* by_global_norm() const {
    return kind_ == Kind::by_global_norm ? &by_global_norm_ : nullptr;
  }

 private:
  enum class Kind : std::uint8_t { none, by_value, by_norm, by_global_norm };

  Kind kind_ = Kind::none;
  GradientClipByValue by_value_{};
  GradientClipByNorm by_norm_{};
  GradientClipByGlobalNorm by_global_norm_{};
};

}  // namespace dygrad
