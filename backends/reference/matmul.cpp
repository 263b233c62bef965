#include <dygrad/backends/common/work.h>
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/backends/reference/row_of_sums.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad::reference {

template <class T>
void matmul(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c) {
  constexpr std::int64_t kGrain = 1 << 16;  // multiplications worth waking another thread for
  using Sums = RowOfSums<SumOf<T>>;
  const std::int64_t in_row = (n + Sums::kMax - 1) / Sums::kMax;
  const std::int64_t cost = std::max<std::int64_t>(std::min(n, Sums::kMax) * k, 1);
  parallel_for(batch * m * in_row, kGrain / cost + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t row = i / in_row;
      const Range own = part_of({0, n}, i % in_row, in_row);
      const T* a_row = a + row * k;
      const T* b_matrix = b + row / m * k * n + own.first;
      Sums sums(own.size());
      for (std::int64_t l = 0; l < k; ++l) {
        const auto factor = static_cast<SumOf<T>>(a_row[l]);
        const T* b_row = b_matrix + l * n;
        SumOf<T>* c_row = sums.block(1);
        for (std::int64_t j = 0; j < own.size(); ++j) c_row[j] += factor * static_cast<SumOf<T>>(b_row[j]);
      }
      sums.write(c + row * n + own.first);
    }
  });
}

template void matmul(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const float*, const float*, float*);
template void matmul(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, const double*, double*);
template void matmul(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*, const std::int64_t*,
                     std::int64_t*);

}  // namespace dygrad::reference
