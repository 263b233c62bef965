// Splits a range over threads, on the OpenMP runtime that oneDNN and the BLAS use too, so that one pool serves all.
#pragma once

#include <cstdint>

#include <dygrad/core/export.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace dygrad {

/// Threads used by kernels started from this thread, from now on. Throws InvalidArgument unless at least 1.
DYGRAD_API void set_num_threads(int count);
/// As set, or OMP_NUM_THREADS, or the number of cores this process may use.
DYGRAD_API int num_threads();

/// Calls f(begin, end) on disjoint pieces that cover [0, count), on several threads if each gets at least `grain`.
/// Pieces depend only on `count`, `grain` and num_threads(). f must not throw. For the library's own .cpp files.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
#if defined(_OPENMP)
  if (count > grain && !omp_in_parallel()) {
    const std::int64_t most = (count + grain - 1) / grain, threads = num_threads();
    const std::int64_t pieces = threads < most ? threads : most;
    if (pieces > 1) {
#pragma omp parallel num_threads(static_cast <int>(pieces))
      {
        // The runtime may grant fewer threads than asked for; each then takes several pieces.
        for (std::int64_t piece = omp_get_thread_num(); piece < pieces; piece += omp_get_num_threads()) {
          f(count * piece / pieces, count * (piece + 1) / pieces);
        }
      }
      return;
    }
  }
#endif
  (void)grain;
  if (count > 0) f(std::int64_t{0}, count);
}

namespace raw {
inline constexpr std::int64_t kElementwiseGrain = 32768;  // elements; fewer are not worth a second thread
}

}  // namespace dygrad
