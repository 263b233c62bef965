#include <dygrad/backends/common/problem_text.h>

#include <dygrad/core/tensor/format.h>
#include <fmt/ranges.h>

namespace dygrad {

std::string problem_text(const Conv2DSizes& s, DType dtype) {
  return fmt::format("{}:mb{}_g{}ic{}oc{}_ih{}oh{}kh{}sh{}dh{}ph{}_iw{}ow{}kw{}sw{}dw{}pw{}", dtype, s.n, s.groups, s.c,
                     s.o, s.h, s.oh, s.kh, s.sh, s.dh - 1, s.ph, s.w, s.ow, s.kw, s.sw, s.dw - 1, s.pw);
}

std::string problem_text(const Problem& problem) {
  if (problem.conv) return problem_text(conv2d_sizes(problem), problem.dtype);
  return fmt::format("{}:{}:{}", problem.dtype, fmt::join(problem.x, "x"), fmt::join(problem.w, "x"));
}

}  // namespace dygrad
