// Which algorithm computes a problem: the smallest estimate wins, unless a faster one was measured (autotune.h).
#include <atomic>

#include <dygrad/backends/common/epilogue.h>
#include <dygrad/backends/common/lru_cache.h>
#include <dygrad/backends/common/problem_text.h>
#include <dygrad/backends/common/reduced_conv2d.h>
#include <dygrad/backends/selection/autotune.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/base/verbose.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/format.h>

namespace dygrad {

namespace {

/// Some extent is 0: every sum is empty.
bool is_empty(const Problem& problem) { return problem.conv && conv2d_sizes(problem).is_empty(); }

/// Choices kept per thread: more than a network has problems.
constexpr std::size_t kChoicesPerThread = 512;

/// Everything that a choice depends on.
struct Key {
  Problem::Kind kind;
  DType dtype;
  MathMode math_mode;
  int threads;
  const Backend* forced;
  std::uint64_t tuning;  // changes when something was tuned
  Conv2DParams conv;
  Shape x, w, y;
  bool operator==(const Key&) const = default;
};

struct Hash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = reinterpret_cast<std::uintptr_t>(key.forced) + key.tuning;
    const auto add = [&](std::int64_t value) {
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
      hash ^= hash >> 32;
    };
    add(static_cast<std::int64_t>(key.kind) + 8 * static_cast<std::int64_t>(key.dtype) +
        64 * static_cast<std::int64_t>(key.math_mode) + 256 * key.threads);
    for (const std::int64_t value : key.x) add(value);
    for (const std::int64_t value : key.w) add(value);
    for (const std::int64_t value : key.conv.stride) add(value);
    for (const std::int64_t value : key.conv.output_extent) add(value);
    return hash;
  }
};

LruCache<Key, Choice, Hash>& choices() {
  return detail::per_thread([] { return LruCache<Key, Choice, Hash>(kChoicesPerThread); });
}

/// The algorithm of `backend` with the smallest estimate, or null.
const Algorithm* best_of(const Backend& backend, const Problem& problem, double& seconds) {
  const Algorithm* best = nullptr;
  for (const Algorithm* algorithm : backend.algorithms()) {
    if (!algorithm->supports(problem)) continue;
    if (is_empty(problem)) return algorithm;
    const double estimate = algorithm->estimate(problem);
    if (!best || estimate < seconds) best = algorithm, seconds = estimate;
  }
  return best;
}

Choice make_choice(const Problem& problem, const Backend* forced) {
  if (const std::optional<Choice> tuned = autotune::find(problem); tuned && (!forced || tuned->backend == forced)) {
    return *tuned;
  }
  Choice choice{nullptr, nullptr};
  double seconds = 0;
  for (const auto& backend : all_backends()) {
    if (forced && backend.get() != forced) continue;
    double candidate_seconds = 0;
    const Algorithm* candidate = best_of(*backend, problem, candidate_seconds);
    if (candidate && (!choice.algorithm || candidate_seconds < seconds)) {
      choice = {backend.get(), candidate};
      seconds = candidate_seconds;
    }
  }
  if (choice.algorithm) return choice;
  if (forced) {
    const bool is_conv2d = problem.kind == Problem::Kind::conv2d;  // its input is the y of the transposed convolution
    throw BackendError(
        Message(name_of(problem.kind), "the forced backend cannot compute this problem.")
            .line("backend {}, dtype {}", forced->name(), problem.dtype)
            .line("x {}, w {}, y {}", is_conv2d ? problem.y : problem.x, problem.w, is_conv2d ? problem.x : problem.y)
            .fix("unset DYGRAD_BACKEND or leave the BackendGuard, so that another backend can take it"));
  }
  throw BackendError(Message(name_of(problem.kind), "no backend computes this problem.")
                         .line("dtype {}", problem.dtype)
                         .fix("convert to float32 or float64 first"));
}

Choice choose_of(const Problem& problem, const Backend* forced) {
  const Key key{problem.kind,
                problem.dtype,
                problem.math_mode,
                num_threads(),
                forced,
                autotune::generation(),
                problem.conv ? *problem.conv : Conv2DParams{},
                problem.x,
                problem.w,
                problem.y};
  return detail::with_out_of_memory(name_of(problem.kind), [&] {
    if (!detail::program_is_ending()) return choices().get(key, [&] { return make_choice(problem, forced); });
    // What was chosen before may have ended, and so may the forced backend, in whose place another one computes.
    return make_choice(problem, forced && forced->supports(problem) ? forced : nullptr);
  });
}

Tensor empty_sums(const Problem& problem, const Epilogue& epilogue) {
  Tensor result = Tensor::empty(
      result_shape(problem), problem.dtype,
      problem.kind == Problem::Kind::conv2d_weights ? MemoryFormat::row_major : MemoryFormat::channels_last);
  kernel::fill(result, 0);
  apply_epilogue(epilogue, result);
  return result;
}

/// Once per process: that bfloat16 was asked for, and that no algorithm that may compute here rounds to it.
void tell_if_bfloat16_is_ignored(const Problem& problem, const Backend* forced) {
  static std::atomic<bool> has_warned{false};
  if (problem.math_mode != MathMode::bfloat16 || problem.dtype != DType::float32 || has_warned) return;
  Problem standard = problem;
  standard.math_mode = MathMode::standard;
  for (const auto& backend : all_backends()) {
    if (forced && backend.get() != forced) continue;
    for (const Algorithm* algorithm : backend->algorithms()) {
      if (algorithm->supports(problem) && !algorithm->supports(standard)) return;
    }
  }
  if (has_warned.exchange(true)) return;
  detail::write_verbose_line("dygrad,bfloat16 is ignored: no backend in use multiplies it fast on this processor");
}

Tensor run_chosen(const Choice& choice, const Problem& problem, const Tensor& a, const Tensor& b,
                  const Epilogue& epilogue) {
  const detail::VerboseCall call;
  const bool empty = is_empty(problem);
  Tensor result = empty ? empty_sums(problem, epilogue) : choice.algorithm->run(problem, a, b, epilogue);
  if (call) {
    call.done(
        name_of(problem.kind), problem_text(problem), choice.backend->name(),
        empty ? "empty" : std::string(choice.algorithm->name()) + ":" + choice.algorithm->implementation(problem));
  }
  return result;
}

/// What the reduced problem makes of operands, in the place where it belongs.
template <class Run>
Tensor run_reduced(const ReducedConv2D& reduced, const Problem& problem, const Tensor& a, const Tensor& b,
                   const Epilogue& epilogue, const Run& run) {
  if (reduced.has_no_terms()) return empty_sums(problem, epilogue);
  const bool reads_x = problem.kind != Problem::Kind::conv2d, reads_w = problem.kind != Problem::Kind::conv2d_weights;
  const Problem smaller = reduced.problem();
  const Tensor sums = run(smaller, reads_x ? reduced.gather_inputs(a) : reduced.gather_outputs(a),
                          reads_w ? reduced.gather_taps(b) : reduced.gather_outputs(b));
  if (sums.shape() == result_shape(problem)) return sums;
  Tensor result = empty_sums(problem, epilogue);
  reduced.scatter(sums, result);
  return result;
}

/// run(problem, a, b), or the same of what the problem can be reduced to.
template <class Run>
Tensor reduce_and_run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue,
                      const Run& run) {
  return detail::with_out_of_memory(name_of(problem.kind), [&] {
    if (problem.conv) {
      if (const auto reduced = ReducedConv2D::of(problem)) return run_reduced(*reduced, problem, a, b, epilogue, run);
    }
    return run(problem, a, b);
  });
}

Tensor run_on(const Backend& backend, const Problem& problem, const Tensor& a, const Tensor& b,
              const Epilogue& epilogue) {
  return reduce_and_run(problem, a, b, epilogue, [&](const Problem& p, const Tensor& first, const Tensor& second) {
    return run_chosen(choose_of(p, &backend), p, first, second, epilogue);
  });
}

}  // namespace

Choice choose(const Problem& problem) { return choose_of(problem, forced_backend()); }

const Backend& select_backend(const Problem& problem) { return *choose(problem).backend; }

Tensor compute(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) {
  return reduce_and_run(problem, a, b, epilogue, [&](const Problem& p, const Tensor& first, const Tensor& second) {
    if (execution_context().autotune && !is_empty(p) && !autotune::find(p)) autotune::tune(p, first, second, epilogue);
    if (verbose()) tell_if_bfloat16_is_ignored(p, forced_backend());
    return run_chosen(choose(p), p, first, second, epilogue);
  });
}

Tensor Backend::conv2d_transpose(const Conv2DParams& p, const Tensor& x, const Tensor& w,
                                 const Epilogue& epilogue) const {
  const Shape y{x.dim(0), w.dim(1) * p.groups, p.output_extent[0], p.output_extent[1]};
  const Problem problem{Problem::Kind::conv2d_transpose, x.dtype(), &p, x.shape(), w.shape(), y};
  return run_on(*this, problem, x, w, epilogue);
}

Tensor Backend::conv2d(const Conv2DParams& p, const Tensor& g, const Tensor& w, const Epilogue& epilogue) const {
  const Shape x{g.dim(0), w.dim(0), p.input_extent[0], p.input_extent[1]};
  const Problem problem{Problem::Kind::conv2d, g.dtype(), &p, x, w.shape(), g.shape()};
  return run_on(*this, problem, g, w, epilogue);
}

Tensor Backend::conv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                               std::array<std::int64_t, 2> kernel) const {
  const Shape w{x.dim(1), g.dim(1) / p.groups, kernel[0], kernel[1]};
  const Problem problem{Problem::Kind::conv2d_weights, x.dtype(), &p, x.shape(), w, g.shape()};
  return run_on(*this, problem, x, g, {});
}

Tensor Backend::matmul(const Tensor& a, const Tensor& b) const {
  Shape c = a.shape();
  c[c.rank() - 1] = b.shape()[b.rank() - 1];
  const Problem problem{Problem::Kind::matmul, a.dtype(), nullptr, a.shape(), b.shape(), c};
  return run_on(*this, problem, a, b, {});
}

}  // namespace dygrad
