#include <dygrad/backends/gemm/blas.h>

#include <atomic>
#include <vector>

#include <dygrad/backends/common/work.h>
#include <dygrad/core/base/detail/can_allocate.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/base/parallel.h>

// Only OpenBLAS has these; with another BLAS they stay null.
extern "C" {
int openblas_get_parallel(void) __attribute__((weak));
void openblas_set_num_threads(int count) __attribute__((weak));
char* openblas_get_config(void) __attribute__((weak));
}

namespace dygrad::gemm {

namespace {

constexpr int kOpenBlasWithPthreads = 1;

CBLAS_TRANSPOSE order(bool transposed) { return transposed ? CblasTrans : CblasNoTrans; }
int to_int(std::int64_t value) { return static_cast<int>(value); }

}  // namespace

void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Operand<float> a, Operand<float> b, bool accumulate,
              float* c, std::int64_t leading_c) {
  cblas_sgemm(CblasRowMajor, order(a.transposed), order(b.transposed), to_int(m), to_int(n), to_int(k), 1.0F, a.data,
              to_int(a.leading), b.data, to_int(b.leading), accumulate ? 1.0F : 0.0F, c, to_int(leading_c));
}

void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Operand<double> a, Operand<double> b, bool accumulate,
              double* c, std::int64_t leading_c) {
  cblas_dgemm(CblasRowMajor, order(a.transposed), order(b.transposed), to_int(m), to_int(n), to_int(k), 1.0, a.data,
              to_int(a.leading), b.data, to_int(b.leading), accumulate ? 1.0 : 0.0, c, to_int(leading_c));
}

void use_one_blas_thread() {
  // The OpenMP build keeps to one thread inside our parallel regions by itself, and must not be asked to: its setter
  // would change the number of threads of the whole program.
  if (openblas_get_parallel && openblas_set_num_threads && openblas_get_parallel() == kOpenBlasWithPthreads) {
    openblas_set_num_threads(1);
  }
}

void make_buffers(std::string_view op, double multiplications) {
  static std::atomic<std::int64_t> threads_served{0};
  const std::int64_t threads = num_chunks(multiplications, num_threads());
  if (threads_served.load(std::memory_order_acquire) >= threads) return;
  constexpr std::size_t kBufferBytes = std::size_t{129} << 20;  // OpenBLAS's BUFFER_SIZE for x86-64, and what is around
  if (!detail::can_allocate(kBufferBytes, threads)) {
    detail::fail_out_of_memory(op, static_cast<std::size_t>(threads) * kBufferBytes);
  }
  constexpr std::int64_t kSize = 128;  // smaller products need no buffer
  const std::vector<double> zeros(kSize * kSize);
  parallel_for(threads, 1, [&](std::int64_t, std::int64_t) {
    std::vector<double> result(kSize * kSize);
    multiply(kSize, kSize, kSize, Operand<double>{zeros.data(), kSize}, {zeros.data(), kSize}, false, result.data(),
             kSize);
  });
  threads_served.store(threads, std::memory_order_release);
}

std::string blas_description() { return openblas_get_config ? openblas_get_config() : "a BLAS of unknown make"; }

}  // namespace dygrad::gemm
