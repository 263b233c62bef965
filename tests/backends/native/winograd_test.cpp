// Winograd: which problems take it, what rounding costs then, and how to do without.
#include <algorithm>
#include <cstdlib>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr ConvShape kDecoder{"decoder", 8, 128, 16, 16, 64, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0};
constexpr ConvShape kOdd{"odd extents", 4, 64, 13, 15, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0};

std::string_view chosen(const ConvShape& shape, Kind kind, DType dtype, MathMode math_mode) {
  const Conv2DParams p = shape.params();
  return choose({kind, dtype, &p, shape.x_shape(), shape.w_shape(), shape.y_shape(), math_mode}).algorithm->name();
}

bool is_winograd(std::string_view name) { return name.find("winograd") != std::string_view::npos; }

/// False where no backend has Winograd: then there is nothing to test, and it says so.
bool is_here() {
  if (!std::getenv("DYGRAD_BACKEND") &&
      is_winograd(chosen(kDecoder, Kind::conv2d_transpose, float32, MathMode::standard)))
    return true;
  SUCCEED("no backend here has the algorithm, or DYGRAD_BACKEND forces another one");
  return false;
}

/// Every other column of pixels, and the first taps of every sub-kernel, are much larger than the rest.
ConvOperands with_uneven_columns(const ConvShape& shape) {
  ConvOperands in(shape, float32, random_values);
  const auto scaled = [](const Tensor& t, const auto& is_large) {
    const Tensor result = kernel::clone(t);
    float* values = result.mutable_data<float>();
    for (std::int64_t i = 0; i < result.num_elements(); ++i) {
      if (is_large(i % result.shape()[3])) values[i] *= 1e6F;
    }
    return result;
  };
  in.x = scaled(in.x, [](std::int64_t column) { return column % 2 == 0; });
  in.w = scaled(in.w, [&](std::int64_t column) { return column < shape.sw; });
  return in;
}

double largest_excess(const Tensor& actual, const Tensor& expected, const Tensor& magnitude, double factor) {
  const auto a = actual.to_vector<double>(), e = expected.to_vector<double>(), m = magnitude.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - e[i]) - factor * m[i]);
  return worst;
}

}  // namespace

TEST_CASE("layers of many channels are computed by Winograd, unless MathMode::strict asks for direct sums") {
  if (!is_here()) return;
  for (const ConvShape& shape : {kDecoder, kOdd}) {
    for (const DType dtype : {float32, float64}) {
      for (const Kind kind : kDirections) {
        INFO(shape << ", " << name_of(kind) << ", " << name_of(dtype));
        CHECK(chosen(shape, kind, dtype, MathMode::standard) == "winograd_f4");
        CHECK_FALSE(is_winograd(chosen(shape, kind, dtype, MathMode::strict)));
      }
    }
  }
}

TEST_CASE("Winograd leaves kernels with one tap per sub-kernel, or more than three, to others") {
  const ConvShape chunks{"k = s", 8, 128, 16, 16, 64, 2, 2, 2, 2, 0, 0, 1, 1, 1, 0, 0};
  const ConvShape wide{"k = 7", 8, 128, 16, 16, 64, 7, 7, 1, 1, 3, 3, 1, 1, 1, 0, 0};
  const ConvShape unequal{"5x3", 8, 128, 16, 16, 64, 5, 3, 2, 1, 2, 1, 1, 1, 1, 0, 0};
  const ConvShape line{"1x3", 8, 128, 16, 16, 64, 1, 3, 1, 1, 0, 1, 1, 1, 1, 0, 0};
  for (const ConvShape& shape : {chunks, wide, line}) {
    for (const Kind kind : kDirections) CHECK_FALSE(is_winograd(chosen(shape, kind, float32, MathMode::standard)));
  }
  if (!is_here()) return;  // 5 taps of 2 sub-kernels, and 3 of one: r is 3 for both
  for (const Kind kind : kDirections) CHECK(is_winograd(chosen(unequal, kind, float32, MathMode::standard)));
}

TEST_CASE("small problems keep whole numbers exact: what m = 4 would save is not worth it") {
  const ConvShape small{"small", 2, 32, 8, 8, 32, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0};
  for (const DType dtype : {float32, float64}) {
    for (const Kind kind : kDirections) CHECK(chosen(small, kind, dtype, MathMode::standard) != "winograd_f4");
    const ConvOperands in(small, dtype, random_integers);
    const Conv2DParams p = small.params();
    CHECK(identical(explicit_conv2d_transpose(in.x, in.w, p), in.run(backend("reference"), Kind::conv2d_transpose)));
  }
}

TEST_CASE("tiny problems are direct sums: transforms would take longer than they save") {
  const ConvShape tiny[] = {{"k2", 1, 8, 4, 5, 8, 2, 2, 1, 1, 0, 0, 1, 1, 1, 0, 0},
                            {"k4 s2", 1, 4, 6, 9, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0},
                            {"k4 s2, few filters", 2, 32, 10, 5, 4, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0}};
  for (const ConvShape& shape : tiny) {
    for (const DType dtype : {float32, float64}) {
      for (const Kind kind : kDirections) CHECK_FALSE(is_winograd(chosen(shape, kind, dtype, MathMode::standard)));
    }
  }
}

TEST_CASE("DYGRAD_MATH_MODE names the way to compute that threads start with") {
  const char* name = std::getenv("DYGRAD_MATH_MODE");
  if (name) {  // the processes below
    const MathMode expected = std::string_view(name) == "strict"     ? MathMode::strict
                              : std::string_view(name) == "bfloat16" ? MathMode::bfloat16
                                                                     : MathMode::standard;
    CHECK(execution_context().math_mode == expected);
    return;
  }
  CHECK(execution_context().math_mode == MathMode::standard);
  for (const char* value : {"strict", "bfloat16", "standard"}) {
    const CommandResult result = run_test_in_new_process(
        "DYGRAD_MATH_MODE names the way to compute that threads start with", std::string("DYGRAD_MATH_MODE=") + value);
    INFO(result.output);
    CHECK(result.status == 0);
  }
}

TEST_CASE("the share of products inside counts pairs of a pixel and a tap") {
  const auto share = [](const ConvShape& shape) {
    return share_inside(conv2d_sizes(shape.params(), shape.n, shape.w_shape()));
  };
  CHECK(share({"all", 2, 3, 5, 5, 4, 3, 3, 1, 1, 0, 0, 1, 1, 1, 0, 0}) == 1);
  // Along each axis, 4 pixels and 4 taps: the first pixel misses its first tap, the last one its last.
  CHECK(share({"cut", 2, 3, 4, 4, 4, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0}) == 14. / 16 * (14. / 16));
}

TEST_CASE("on evenly sized numbers winograd_f2 loses less than two bits against direct sums, winograd_f4 three") {
  if (!is_here()) return;
  for (const ConvShape& shape : {kDecoder, kOdd}) {
    const ConvOperands in(shape, float32, random_values);
    const ConvOperands exact(shape, kernel::cast(in.x, float64), kernel::cast(in.w, float64),
                             kernel::cast(in.g, float64));
    for (const Kind kind : kDirections) {
      const std::vector<double> expected = exact.run(backend("reference"), kind).to_vector<double>();
      const auto error_of = [&](std::string_view backend_name, std::string_view name) {
        for (const Algorithm* algorithm : backend(backend_name).algorithms()) {
          if (algorithm->name() != name || !supports(*algorithm, shape, kind, float32)) continue;
          const std::vector<double> actual = in.run(*algorithm, kind).to_vector<double>();
          double squares = 0;
          for (std::size_t i = 0; i < actual.size(); ++i) squares += std::pow(actual[i] - expected[i], 2);
          return std::sqrt(squares / static_cast<double>(actual.size()));
        }
        FAIL("no algorithm " << name);
        return 0.;
      };
      INFO(shape << ", " << name_of(kind));
      const char* direct = kind == Kind::conv2d_transpose ? "subpixel"
                           : kind == Kind::conv2d         ? "implicit_gemm"
                                                          : "implicit_gemm_weights";
      const double plain = error_of("native", direct);
      CHECK(error_of("native", "winograd_f2") < 4 * plain);
      CHECK(error_of("native", "winograd_f4") < 8 * plain);
    }
  }
}

TEST_CASE("direct sums keep small numbers beside large ones, in backward passes as well") {
  if (!is_here()) return;
  const ConvOperands in = with_uneven_columns(kDecoder);
  const ConvOperands exact(in.shape, kernel::cast(in.x, float64), kernel::cast(in.w, float64),
                           kernel::cast(in.g, float64));
  const ConvOperands absolutes(in.shape, absolute(in.x), absolute(in.w), absolute(in.g));
  Tensor x = kernel::clone(in.x), w = kernel::clone(in.w);
  x.set_stop_gradient(false);
  w.set_stop_gradient(false);
  const auto excesses = [&](MathMode math_mode) {
    Tensor y;
    {
      const ExecutionGuard guard({.math_mode = math_mode});
      y = explicit_conv2d_transpose(x, w, in.shape.params());
    }
    const std::vector<Tensor> grads = grad({y}, {x, w}, {.grad_outputs = {in.g}});
    std::vector<double> worst;
    for (const Kind kind : kDirections) {
      const Tensor& actual = kind == Kind::conv2d_transpose ? y : grads[kind == Kind::conv2d ? 0 : 1];
      worst.push_back(largest_excess(actual, exact.run(backend("reference"), kind),
                                     absolutes.run(backend("reference"), kind),
                                     gamma(reduction_length(in.shape, kind), float32)));
    }
    return worst;
  };
  CHECK(excesses(MathMode::strict) == std::vector<double>{0, 0, 0});
}

TEST_CASE("gradients through Winograd are right to the second order") {
  if (!is_here()) return;
  for (const ConvShape& shape : {kDecoder, kOdd}) {
    const Conv2DParams p = shape.params();
    const auto f = [&](const Tensor& x, const Tensor& w) { return explicit_conv2d_transpose(x, w, p); };
    const CheckGradsReport report =
        check_grads(f, random_values(shape.x_shape(), float64, 1), random_values(shape.w_shape(), float64, 2),
                    {.order = 2, .full = false, .non_contiguous = false});
    INFO(report.text);
    CHECK(report.ok);
  }
}

TEST_CASE("a result of Winograd does not depend on the rest of the batch") {
  if (!is_here()) return;
  const ConvOperands in(kDecoder, float32, random_values);
  ConvShape one = kDecoder;
  one.n = 1;
  const ConvOperands first(one, kernel::contiguous(in.x.slice(0, 3, 4)), in.w, kernel::contiguous(in.g.slice(0, 3, 4)));
  for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) {
    for (const Algorithm* algorithm : backend("native").algorithms()) {
      if (!is_winograd(algorithm->name()) || !supports(*algorithm, one, kind, float32)) continue;
      CHECK(identical(first.run(*algorithm, kind), kernel::contiguous(in.run(*algorithm, kind).slice(0, 3, 4))));
    }
  }
}
