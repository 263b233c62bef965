// Kernels called from several threads of the user's at once.
#include <thread>

#include <dygrad/tests/backends/conv_support.h>

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

TEST_CASE("two threads may run kernels on the same tensors at once") {
  constexpr ConvShape kShape{"shared", 4, 32, 8, 8, 24, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0};
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      ConvOperands in(kShape, dtype, random_integers);
      for (const Kind kind : kDirections) {
        if (!supports(backend(name), kShape, kind, dtype)) continue;
        const Tensor expected = in.run(backend("reference"), kind);
        in.w.set_value(raw::clone(in.w));  // so that both threads find the weights not yet converted
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

TEST_CASE("two threads may run kernels of different shapes at once") {
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

TEST_CASE("two threads may multiply matrices at once") {
  const Tensor a = random_integers({70, 90}, float64, 5), b = random_integers({90, 80}, float64, 6);
  const Tensor expected = backend("reference").matmul(a, b);
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      if (!backend(name).supports(
              {.kind = Kind::matmul, .dtype = dtype, .x = a.shape(), .w = b.shape(), .y = expected.shape()}))
        continue;
      const Tensor left = raw::cast(a, dtype), right = raw::cast(b, dtype);
      bool same[2] = {true, true};
      on_two_threads([&](int thread) {
        for (int repeat = 0; repeat < 50; ++repeat) {
          same[thread] = same[thread] && identical(raw::cast(backend(name).matmul(left, right), float64), expected);
        }
      });
      INFO(name << ", " << name_of(dtype));
      CHECK(same[0]);
      CHECK(same[1]);
    }
  }
}
