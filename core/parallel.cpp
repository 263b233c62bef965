#include <dygrad/core/parallel.h>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

void set_num_threads(int count) {
  if (count < 1)
    throw InvalidArgument(
        Message("set_num_threads", "needs at least one thread.").expected("count >= 1").got("{}", count));
#if defined(_OPENMP)
  omp_set_num_threads(count);
#endif
}

int num_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

}  // namespace dygrad
