#include <dygrad/backends/reference/kernels.h>
#include <dygrad/core/parallel.h>

namespace dygrad::reference {

template <class T>
void matmul(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c) {
  constexpr std::int64_t kGrain = 1 << 16;  // multiplications worth waking another thread for
  parallel_for(batch * m, kGrain / std::max<std::int64_t>(n * k, 1) + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const T* a_row = a + row * k;
      const T* b_matrix = b + row / m * k * n;
      T* c_row = c + row * n;
      std::fill_n(c_row, n, T{0});
      for (std::int64_t l = 0; l < k; ++l) {
        const T factor = a_row[l];
        const T* b_row = b_matrix + l * n;
        for (std::int64_t j = 0; j < n; ++j) c_row[j] += factor * b_row[j];
      }
    }
  });
}

template void matmul(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, const double*, double*);
template void matmul(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::int64_t*,
                     std::int64_t*);

}  // namespace dygrad::reference
