#include <dygrad/tests/bench/support/algorithm_probe.h>

#include <dygrad/core/base/verbose.h>

namespace dygrad::bench {

std::vector<std::string> kernels_of(const std::function<void()>& call) {
  std::vector<std::string> kernels;
  const bool before = verbose();
  set_verbose_sink([&](std::string_view line) {
    // dygrad,<op>,<problem>,<backend>,<algorithm>,<microseconds>; only the algorithm may hold commas.
    std::size_t backend = 0;
    for (int i = 0; i < 3 && backend != std::string_view::npos; ++i) backend = line.find(',', backend) + 1;
    const std::size_t algorithm = line.find(',', backend), end = line.rfind(',');
    if (algorithm == std::string_view::npos || end <= algorithm) return;
    kernels.push_back(std::string(line.substr(backend, algorithm - backend)) + ":" +
                      std::string(line.substr(algorithm + 1, end - algorithm - 1)));
  });
  set_verbose(true);
  call();
  set_verbose(before);
  set_verbose_sink({});
  return kernels;
}

}  // namespace dygrad::bench
