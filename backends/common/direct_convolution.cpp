#include <dygrad/backends/common/direct_convolution.h>

namespace dygrad {

namespace {

Problem strict(const Problem& problem) {
  Problem result = problem;
  result.math_mode = MathMode::strict;
  return result;
}

}  // namespace

const Algorithm& direct_algorithm(const Problem& problem) {
  const Problem direct = strict(problem);
  const Algorithm* best = backend("reference").algorithms()[0];
  double least = best->estimate(direct);
  for (const Algorithm* algorithm : backend("native").algorithms()) {
    if (!algorithm->supports(direct)) continue;
    const double estimate = algorithm->estimate(direct);
    if (estimate < least) best = algorithm, least = estimate;
  }
  return *best;
}

Tensor compute_direct(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) {
  return direct_algorithm(problem).run(strict(problem), a, b, epilogue);
}

}  // namespace dygrad
