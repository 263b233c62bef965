// The tables of kernels, one pair per instruction set; kernels.cpp picks among them.
#pragma once

#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

extern const Kernels<float> kBaselineFloat;
extern const Kernels<double> kBaselineDouble;
extern const Kernels<Bf16Pair> kBf16;
#if defined(__x86_64__)
extern const Kernels<float> kAvx2Float, kAvx512Float;
extern const Kernels<double> kAvx2Double, kAvx512Double;
#endif

}  // namespace dygrad::native
