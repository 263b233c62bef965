#include <dygrad/layers/optim/clip.h>

#include <cmath>
#include <limits>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

namespace {
void check_norm(const char* op, double clip_norm) {
  if (!(clip_norm > 0 && std::isfinite(clip_norm))) {
    throw InvalidArgument(Message(op, "clip_norm is out of range.")
                              .expected("clip_norm > 0, finite")
                              .got("{}", clip_norm)
                              .fix("leave grad_clip out for no clipping"));
  }
}
}  // namespace

GradientClip::GradientClip(GradientClipByValue clip) : kind_(Kind::by_value), by_value_(clip) {
  const double min = clip.min.value_or(-clip.max);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!(min <= clip.max) || min == kInfinity || clip.max == -kInfinity) {
    throw InvalidArgument(Message("GradientClipByValue", "the range has no finite number.")
                              .expected("min <= max")
                              .got("[{}, {}]", min, clip.max)
                              .fix("give max > 0, or min and max"));
  }
}

GradientClip::GradientClip(GradientClipByNorm clip) : kind_(Kind::by_norm), by_norm_(clip) {
  check_norm("GradientClipByNorm", clip.clip_norm);
}

GradientClip::GradientClip(GradientClipByGlobalNorm clip) : kind_(Kind::by_global_norm), by_global_norm_(clip) {
  check_norm("GradientClipByGlobalNorm", clip.clip_norm);
}

}  // namespace dygrad
