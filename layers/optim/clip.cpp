#include <dygrad/layers/optim/clip.h>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {
void check_norm(const char* op, double clip_norm) {
  if (!(clip_norm > 0)) {
    throw InvalidArgument(Message(op, "clip_norm is out of range.").expected("clip_norm > 0").got("{}", clip_norm));
  }
}
}  // namespace

GradientClip::GradientClip(GradientClipByValue clip) : kind_(Kind::by_value), by_value_(clip) {
  const double min = clip.min.value_or(-clip.max);
  if (!(min <= clip.max)) {
    throw InvalidArgument(
        Message("GradientClipByValue", "the range is empty.").expected("min <= max").got("[{}, {}]", min, clip.max));
  }
}

GradientClip::GradientClip(GradientClipByNorm clip) : kind_(Kind::by_norm), by_norm_(clip) {
  check_norm("GradientClipByNorm", clip.clip_norm);
}

GradientClip::GradientClip(GradientClipByGlobalNorm clip) : kind_(Kind::by_global_norm), by_global_norm_(clip) {
  check_norm("GradientClipByGlobalNorm", clip.clip_norm);
}

}  // namespace dygrad
