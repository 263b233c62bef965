// kernels_impl.h on vectors of 64 bytes.
#if defined(__x86_64__)
#define DYGRAD_VECTOR_BYTES 64
#define DYGRAD_MR 14
#include <dygrad/backends/native/microkernels/instruction_sets.h>
#include <dygrad/backends/native/microkernels/kernels_impl.h>

namespace dygrad::native {

const Kernels<float> kAvx512Float = table<float>("AVX-512");
const Kernels<double> kAvx512Double = table<double>("AVX-512");

}  // namespace dygrad::native

#endif
