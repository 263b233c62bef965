#include <dygrad/core/base/parallel.h>

#include <algorithm>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/use_one_thread.h>
#include <dygrad/core/base/error.h>

#if defined(_OPENMP) && defined(__unix__)
#include <pthread.h>
#include <sys/stat.h>
#endif

namespace dygrad {

namespace {

#if defined(_OPENMP) && defined(__unix__)

/// This thread came from a fork without the threads that its pool may consist of.
constinit thread_local bool lost_pool = false;

constinit bool had_other_threads = false;  // when this process was forked

/// Linux counts the threads of this process as links to a folder; elsewhere there may be some.
bool has_other_threads() noexcept {
  constexpr nlink_t kLinksWithoutThreads = 2;
  struct stat folder {};
  return stat("/proc/self/task", &folder) != 0 || folder.st_nlink != kLinksWithoutThreads + 1;
}

void before_fork() noexcept { had_other_threads = has_other_threads(); }
void in_child() noexcept {
  lost_pool = lost_pool || had_other_threads;  // no call of the runtime: its own handler comes after this one
}

// Before any pool: threads may also be started by oneDNN, the BLAS or the program itself. In the file of num_threads(),
// which every program has.
[[maybe_unused]] const int registered = pthread_atfork(before_fork, nullptr, in_child);

#else

constexpr bool lost_pool = false;

#endif

// Each takes a stack, and the libraries under us end the program where they get none.
constexpr int kMaxThreads = 1024;

constinit thread_local bool computes_alone = false;

}  // namespace

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads)
    throw InvalidArgument(Message("set_num_threads", "the count is out of range.")
                              .expected("1 <= count <= {}", kMaxThreads)
                              .got("{}", count)
                              .fix("give the number of cores that kernels may use"));
  if (lost_pool && count > 1)
    throw InvalidArgument(Message("set_num_threads", "a forked process computes on one thread.")
                              .line("the parent's threads are not in the child, and cannot be waited for")
                              .expected("count == 1")
                              .got("{}", count)
                              .fix("fork before the first kernel, compute on a thread started in the child, or exec"));
  computes_alone = false;
#if defined(_OPENMP)
  omp_set_num_threads(count);
#endif
}

void detail::use_one_thread() noexcept { computes_alone = true; }

int num_threads() {
#if defined(_OPENMP)
  if (lost_pool && omp_get_max_threads() != 1) omp_set_num_threads(1);  // for libraries under us, too
  if (computes_alone || omp_in_parallel()) return 1;
  return std::min({omp_get_max_threads(), omp_get_thread_limit(), kMaxThreads});
#else
  return 1;
#endif
}

#if defined(_OPENMP)
detail::GrantedThreads::GrantedThreads() : is_dynamic_(omp_get_dynamic() != 0) {
  const int granted = num_threads();  // which may lower the runtime's number, in a forked child
  previous_ = omp_get_max_threads();
  if (granted != previous_) omp_set_num_threads(granted);
  if (is_dynamic_) omp_set_dynamic(0);
}
detail::GrantedThreads::~GrantedThreads() {
  if (omp_get_max_threads() != previous_) omp_set_num_threads(previous_);
  if (is_dynamic_) omp_set_dynamic(1);
}
#else
detail::GrantedThreads::GrantedThreads() = default;
detail::GrantedThreads::~GrantedThreads() = default;
#endif

}  // namespace dygrad
