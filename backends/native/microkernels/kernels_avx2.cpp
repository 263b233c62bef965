// kernels_impl.h on vectors of 32 bytes.
#if defined(__x86_64__)
#define DYGRAD_VECTOR_BYTES 32
#define DYGRAD_MR 6
#include <dygrad/backends/native/microkernels/instruction_sets.h>
#include <dygrad/backends/native/microkernels/kernels_impl.h>

namespace dygrad::native {

const Kernels<float> kAvx2Float = table<float>("AVX2+FMA");
const Kernels<double> kAvx2Double = table<double>("AVX2+FMA");

}  // namespace dygrad::native

#endif
