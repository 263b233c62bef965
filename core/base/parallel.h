// Splits a range over threads, on the OpenMP runtime that oneDNN and the BLAS use too, so that one pool serves all.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include <dygrad/core/base/export.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace dygrad {

// Note [Forked processes]
// A child process has only the thread that forked: locks of the library that other threads held stay locked in it, so
// fork while they run nothing of dygrad. If its parent had other threads, the runtime may count on a pool of them that
// the child does not have, and wait for it for ever: that thread then computes alone in the child. Other threads
// started there have pools of their own, and as many threads as they like.

/// Threads used by kernels started from this thread, from now on. Throws InvalidArgument unless 1 <= count <= 1024;
/// also for more than 1 where only one can be used: see Note [Forked processes].
DYGRAD_API void set_num_threads(int count);
/// As set, or OMP_NUM_THREADS, or the number of cores this process may use; no more than OMP_THREAD_LIMIT and 1024, and
/// 1 inside a parallel region of the program's own.
DYGRAD_API int num_threads();

namespace detail {

/// The first exception that several threads threw, kept until they have all ended: it must not leave a parallel region.
class FirstException {
 public:
  /// Call where an exception was caught.
  void keep() noexcept {
    if (!kept_.test_and_set()) exception_ = std::current_exception();
  }
  /// Not before all threads are done.
  void rethrow_if_any() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }

 private:
  std::atomic_flag kept_{};
  std::exception_ptr exception_;
};

/// While one lives, the OpenMP runtime reports num_threads() to this thread and grants them. oneDNN and BLAS ask it how
/// many threads there are, divide their work among so many, and wait for them.
class DYGRAD_API GrantedThreads {
 public:
  GrantedThreads();
  ~GrantedThreads();
  GrantedThreads(const GrantedThreads&) = delete;
  GrantedThreads& operator=(const GrantedThreads&) = delete;

 private:
  [[maybe_unused]] int previous_ = 0;  // neither is used without OpenMP
  [[maybe_unused]] bool is_dynamic_ = false;
};

}  // namespace detail

/// Calls f(begin, end) on disjoint chunks that cover [0, count), on at most ceil(count / grain) threads.
/// Chunks depend only on `count`, `grain` and num_threads(). If a chunk throws, others may still run; then one of the
/// exceptions is thrown here. For the library's own .cpp files.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
#if defined(_OPENMP)
  if (count > grain && !omp_in_parallel()) {
    const std::int64_t most = (count + grain - 1) / grain, threads = num_threads();
    const std::int64_t chunks = threads < most ? threads : most;
    if (chunks > 1) {
      detail::FirstException first;
#pragma omp parallel num_threads(static_cast <int>(chunks))
      {
        try {
          // The runtime may grant fewer threads than asked for; each then takes several chunks.
          for (std::int64_t chunk = omp_get_thread_num(); chunk < chunks; chunk += omp_get_num_threads()) {
            f(count * chunk / chunks, count * (chunk + 1) / chunks);
          }
        } catch (...) {
          first.keep();
        }
      }
      first.rethrow_if_any();
      return;
    }
  }
#endif
  (void)grain;
  if (count > 0) f(std::int64_t{0}, count);
}

namespace kernel {
inline constexpr std::int64_t kElementwiseGrain = 32768;  // elements; fewer are not worth a second thread
}

}  // namespace dygrad
