// The two BLAS calls we need under one name for float and double, and who splits the work: we do, never the BLAS.
#pragma once

#include <cblas.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <dygrad/backends/common/batched_matmul.h>

namespace dygrad::gemm {

template <class T>
using Operand = MatrixOperand<T>;

/// c [m, n] = a [m, k] * b [k, n], or += if `accumulate`; c's rows are `leading_c` elements apart.
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Operand<float> a, Operand<float> b, bool accumulate,
              float* c, std::int64_t leading_c);
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Operand<double> a, Operand<double> b, bool accumulate,
              double* c, std::int64_t leading_c);

/// Keeps the BLAS from starting threads of its own beside ours. Called once.
void use_one_blas_thread();

/// Name, version and processor kernels, as far as the BLAS reports them.
std::string blas_description();

/// Lets the BLAS make the buffers that threads need for so many multiplications, once. Throws OutOfMemory where there
/// is no memory for them: OpenBLAS would wait for it for ever, or write through null.
void make_buffers(std::string_view op, double multiplications);

}  // namespace dygrad::gemm
