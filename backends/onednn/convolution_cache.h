// Compiled convolutions of this thread, the most recently used ones: compiling takes far longer than running.
#pragma once

#include <dygrad/backends/onednn/convolution.h>

namespace dygrad::onednn {

/// Most compiled convolutions that one thread keeps.
inline constexpr std::size_t kConvolutionsPerThread = 256;

/// The compiled convolution, whose `primitive` is null where oneDNN has none worth using for this problem. The
/// reference holds until this thread's next call. Throws BackendError if oneDNN fails for another reason than the
/// problem itself.
const Convolution& cached_convolution(Problem::Kind direction, const Conv2DSizes& sizes);

}  // namespace dygrad::onednn
