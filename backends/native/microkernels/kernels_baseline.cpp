// kernels_impl.h on vectors of 16 bytes.
#define DYGRAD_VECTOR_BYTES 16
#define DYGRAD_MR 6
#include <dygrad/backends/native/microkernels/instruction_sets.h>
#include <dygrad/backends/native/microkernels/kernels_impl.h>

namespace dygrad::native {

const Kernels<float> kBaselineFloat = table<float>("baseline");
const Kernels<double> kBaselineDouble = table<double>("baseline");

}  // namespace dygrad::native
