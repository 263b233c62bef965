// Pool2D: maximum or mean over windows of an image.
#pragma once

#include <string>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Shapes: x [N, C, H, W]; y [N, C, OH, OW], OH = floor((H + 2*padding - size) / stride) + 1; with ceil_mode that is
/// rounded up, less a last window that would begin past the end of the image, in the padding alone: ceil, and one fewer
/// if (OH - 1) * stride >= H + padding; 1 where the window exceeds the padded image by less than a stride.
/// global_pooling: y [N, C, 1, 1]. Throws at construction: InvalidArgument for another pool_type, or sizes or strides
/// below 1 or padding outside [0, size) without global_pooling. At forward: ShapeError, DtypeError, and InvalidArgument
/// for sizes or strides above 2^31.
class DYGRAD_API Pool2D : public Layer {
 public:
  struct Options {
    Pair pool_size = -1;            ///< required without global_pooling
    std::string pool_type = "max";  ///< "max" or "avg"
    Pair pool_stride = 1;
    Pair pool_padding = 0;
    bool global_pooling = false;  ///< one window over the whole image; size and padding are ignored
    bool use_cudnn = true;        ///< accepted for compatibility; there is no GPU to use
    bool ceil_mode = false;       ///< keep a last window that is partly behind the image
    bool exclusive = true;        ///< avg: divide by the number of cells inside the image; see Pool2DOptions
    DataFormat data_format = DataFormat::NCHW;
  };

  explicit Pool2D(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

 private:
  Options options_;
};

}  // namespace dygrad
