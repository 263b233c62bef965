// Kernels called from several threads of the user's at once.
#include <string>
#include <thread>

#include <dygrad/core/base/parallel.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Runs f(thread number) on two threads and waits.
template <class F>
void on_two_threads(const F& f) {
  std::thread other(f, 1);
  f(0);
  other.join();
}

}  // namespace

TEST_CASE("two threads may run kernels on the same tensors at once", "[threads]") {
  constexpr ConvShape kShape{"shared", 4, 32, 8, 8, 24, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0};
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      ConvOperands in(kShape, dtype, random_integers);
      for (const Kind kind : kDirections) {
        if (!supports(backend(name), kShape, kind, dtype)) continue;
        const Tensor expected = in.run(backend("reference"), kind);
        in.w.set_value(kernel::clone(in.w));  // so that both threads find the weights not yet converted
        bool same[2] = {true, true};
        on_two_threads([&](int thread) {
          for (int repeat = 0; repeat < 20; ++repeat)
            same[thread] = same[thread] && identical(in.run(backend(name), kind), expected);
        });
        INFO(name << ", " << name_of(kind) << ", " << name_of(dtype));
        CHECK(same[0]);
        CHECK(same[1]);
      }
    }
  }
}

TEST_CASE("two threads may run kernels of different shapes at once", "[threads]") {
  for (const std::string_view name : backend_names()) {
    int wrong[2] = {0, 0};
    on_two_threads([&](int thread) {
      for (std::size_t i = static_cast<std::size_t>(thread); i < std::size(kSmallShapes); i += 2) {
        const ConvOperands in(kSmallShapes[i], float32, random_integers);
        for (const Kind kind : kDirections) {
          if (!supports(backend(name), kSmallShapes[i], kind, float32)) continue;
          wrong[thread] += !identical(in.run(backend(name), kind), in.run(backend("reference"), kind));
        }
      }
    });
    INFO(name);
    CHECK(wrong[0] == 0);
    CHECK(wrong[1] == 0);
  }
}

TEST_CASE("two threads may multiply matrices at once", "[threads]") {
  const Tensor a = random_integers({70, 90}, float64, 5), b = random_integers({90, 80}, float64, 6);
  const Tensor expected = backend("reference").matmul(a, b);
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      if (!backend(name).supports(
              {.kind = Kind::matmul, .dtype = dtype, .x = a.shape(), .w = b.shape(), .y = expected.shape()}))
        continue;
      const Tensor left = kernel::cast(a, dtype), right = kernel::cast(b, dtype);
      bool same[2] = {true, true};
      on_two_threads([&](int thread) {
        for (int repeat = 0; repeat < 50; ++repeat) {
          same[thread] = same[thread] && identical(kernel::cast(backend(name).matmul(left, right), float64), expected);
        }
      });
      INFO(name << ", " << name_of(dtype));
      CHECK(same[0]);
      CHECK(same[1]);
    }
  }
}

#if defined(_OPENMP)

namespace {

/// The default choice and every backend compute what the reference does.
int wrong_results() {
  constexpr ConvShape kShapes[] = {
      {"few filters", 32, 3, 28, 28, 3, 2, 2, 1, 1, 0, 0, 1, 1, 3, 0, 0},
      {"stride 2", 4, 64, 16, 16, 64, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0},
      {"small", 1, 16, 4, 4, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0},
  };
  int wrong = 0;
  for (const ConvShape& shape : kShapes) {
    const ConvOperands in(shape, float32, random_integers);
    for (const Kind kind : kDirections) {
      const Tensor expected = in.run(backend("reference"), kind);
      for (const std::string_view name : backend_names()) {
        if (supports(backend(name), shape, kind, float32)) wrong += !identical(in.run(backend(name), kind), expected);
      }
    }
  }
  const Tensor a = random_integers({150, 160}, float32, 1), b = random_integers({160, 170}, float32, 2);
  for (const std::string_view name : backend_names())
    wrong += !identical(backend(name).matmul(a, b), backend("reference").matmul(a, b));
  return wrong;
}

}  // namespace

TEST_CASE("kernels called inside a parallel region of the program's own compute on one thread") {
  const int threads = num_threads();
  int wrong = 0, inside = 0;
#pragma omp parallel num_threads(2)
  if (omp_get_thread_num() == 0) {
    inside = num_threads();
    wrong = wrong_results();
  }
  CHECK(inside == 1);
  CHECK(wrong == 0);
  CHECK(num_threads() == threads);
  CHECK(wrong_results() == 0);
}

TEST_CASE("a runtime that may grant fewer threads than asked for is asked for as many as it grants") {
  omp_set_dynamic(1);
  CHECK(wrong_results() == 0);
  CHECK(omp_get_dynamic() == 1);
  omp_set_dynamic(0);
}

TEST_CASE("results in a process of few threads", "[.]") { CHECK(wrong_results() == 0); }

TEST_CASE("no more threads are counted on than OMP_THREAD_LIMIT allows") {
  for (const char* limit : {"1", "2", "3"}) {
    const CommandResult result = run_test_in_new_process("results in a process of few threads",
                                                         std::string("OMP_NUM_THREADS=4 OMP_THREAD_LIMIT=") + limit);
    INFO(result.output);
    CHECK(result.status == 0);
  }
}

#endif
