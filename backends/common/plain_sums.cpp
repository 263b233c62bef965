#include <dygrad/backends/common/plain_sums.h>

namespace dygrad {

namespace {

Problem plain(const Problem& problem) {
  Problem plain = problem;
  plain.math_mode = MathMode::strict;
  return plain;
}

}  // namespace

const Algorithm& plain_sums(const Problem& problem) {
  const Problem direct = plain(problem);
  const Algorithm* best = backend("reference").algorithms()[0];
  double least = best->estimate(direct);
  for (const Algorithm* algorithm : backend("native").algorithms()) {
    if (!algorithm->supports(direct)) continue;
    const double estimate = algorithm->estimate(direct);
    if (estimate < least) best = algorithm, least = estimate;
  }
  return *best;
}

Tensor compute_plainly(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) {
  return plain_sums(problem).run(plain(problem), a, b, epilogue);
}

}  // namespace dygrad
