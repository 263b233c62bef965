// MathMode::bfloat16: what rounding the operands may cost, who follows it, and who does not.
#include <algorithm>
#include <cstdlib>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/core/base/verbose.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/command.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Layer-sized, so that rounding pays in every direction.
constexpr ConvShape kLayer{"layer", 8, 128, 16, 16, 64, 2, 2, 2, 2, 0, 0, 1, 1, 1, 0, 0};

bool supports(const Algorithm& algorithm, const ConvOperands& in, Kind kind, MathMode math_mode) {
  const Conv2DParams p = in.shape.params();
  return algorithm.supports({kind, in.x.dtype(), &p, in.x.shape(), in.w.shape(), in.g.shape(), math_mode});
}

/// The algorithms that take a problem only where its operands may be rounded.
std::vector<const Algorithm*> rounding_algorithms(const ConvOperands& in, Kind kind) {
  std::vector<const Algorithm*> found;
  for (const auto& backend : all_backends()) {
    for (const Algorithm* algorithm : backend->algorithms()) {
      const bool exact = supports(*algorithm, in, kind, MathMode::standard);
      if (!exact && supports(*algorithm, in, kind, MathMode::bfloat16)) found.push_back(algorithm);
    }
  }
  return found;
}

bool is_here() {
  const ConvOperands in(kLayer, float32, [](const Shape& s, DType dtype, std::uint32_t) { return zeros(s, dtype); });
  return !rounding_algorithms(in, Kind::conv2d_transpose).empty();
}

/// Runs check(algorithm, operands, direction) for every such algorithm and all non-empty shapes.
template <class Make, class Check>
void for_each_rounding(const Make& make, const Check& check) {
  if (!is_here()) SUCCEED("nothing multiplies bfloat16 on this processor");
  for (const std::span<const ConvShape> shapes : {std::span<const ConvShape>(kSmallShapes), {kLayerShapes}}) {
    for (const ConvShape& shape : shapes) {
      if (std::min({num_elements(shape.x_shape()), num_elements(shape.w_shape()), num_elements(shape.y_shape())}) == 0)
        continue;
      const ConvOperands in(shape, float32, make);
      for (const Kind kind : kDirections) {
        for (const Algorithm* algorithm : rounding_algorithms(in, kind)) {
          INFO(algorithm->name() << ", " << shape << ", " << name_of(kind));
          check(*algorithm, in, kind);
        }
      }
    }
  }
}

/// To 8 significant binary digits, ties to even.
Tensor rounded_to_bfloat16(const Tensor& x) {
  std::vector<double> values = x.to_vector<double>();
  for (double& value : values) {
    int exponent = 0;
    const double significand = std::frexp(value, &exponent);
    value = std::ldexp(std::nearbyint(std::ldexp(significand, 8)), exponent - 8);
  }
  return from_vector(values, x.shape());
}

ConvOperands in_float64(const ConvOperands& in) {
  return {in.shape, kernel::cast(in.x, float64), kernel::cast(in.w, float64), kernel::cast(in.g, float64)};
}

template <class F>
std::vector<std::string> lines_of(const F& f) {
  std::vector<std::string> lines;
  set_verbose_sink([&](std::string_view line) { lines.emplace_back(line); });
  set_verbose(true);
  f();
  set_verbose(false);
  set_verbose_sink({});
  return lines;
}

bool all_round(const std::vector<std::string>& lines) {
  return std::all_of(lines.begin(), lines.end(),
                     [](const std::string& line) { return line.find("bf16") != std::string::npos; });
}

}  // namespace

TEST_CASE("bfloat16 operands cost no more than their two roundings, on every shape") {
  const Backend& reference = backend("reference");
  for_each_rounding(random_values, [&](const Algorithm& algorithm, const ConvOperands& in, Kind kind) {
    const ConvOperands exact = in_float64(in);
    const Tensor magnitude = magnitude_of(algorithm, exact, kind);
    const Tensor result = in.run(algorithm, kind);
    // Eight significant digits: each operand is off by at most u = 2^-8 of itself. Sums of float32 add gamma, here of
    // products that are up to (1 + u)^2 times as large.
    const double u = std::ldexp(1, -8), sums = gamma(reduction_length(in.shape, kind), float32) * (1 + u) * (1 + u);
    check_within(result, exact.run(reference, kind), magnitude, 2 * u + u * u + sums);
    if (mixes_neighbours(algorithm)) return;  // rounds in the transform domain, not what it is given
    // Against operands that were rounded before, sums alone are left: this also proves ties to even.
    const ConvOperands rounded(in.shape, rounded_to_bfloat16(in.x), rounded_to_bfloat16(in.w),
                               rounded_to_bfloat16(in.g));
    check_within(result, rounded.run(reference, kind), magnitude, sums);
  });
}

TEST_CASE("bfloat16 represents small whole numbers: results and biases are exact") {
  for_each_rounding(random_integers, [](const Algorithm& algorithm, const ConvOperands& in, Kind kind) {
    const Tensor bias =
        kind == Kind::conv2d_weights
            ? Tensor()
            : random_integers({kind == Kind::conv2d_transpose ? in.shape.cout : in.shape.cin}, float32, 4);
    CHECK(identical(in.run(algorithm, kind, {bias}), in.run(*backend("reference").algorithms()[0], kind, {bias})));
  });
}

TEST_CASE("bfloat16 gives the same bits every time, and follows changes of the weights") {
  for_each_rounding(random_values, [](const Algorithm& algorithm, ConvOperands in, Kind kind) {
    in.w = kernel::clone(in.w);
    const Tensor first = in.run(algorithm, kind);
    CHECK(identical(first, in.run(algorithm, kind)));
    in.w.fill(0);
    if (kind != Kind::conv2d_weights) CHECK(identical(in.run(algorithm, kind), zeros(first.shape())));
  });
}

namespace {

const Algorithm& exact_counterpart(const Algorithm& algorithm) {
  for (const Algorithm* other : backend("native").algorithms()) {
    if ("bf16_" + std::string(other->name()) == algorithm.name()) return *other;
  }
  FAIL("every algorithm that rounds has one that does not");
  return algorithm;
}

}  // namespace

TEST_CASE("where operands overflow or are not numbers, so are the sums that they belong to") {
  if (!is_here()) {
    SUCCEED("nothing multiplies bfloat16 on this processor");
    return;
  }
  ConvOperands in({"odd batch", 3, 3, 4, 4, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0}, float32, random_values);
  in.x = kernel::clone(in.x);
  in.x.write<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  in.x.write<float>()[5 * 16] = std::numeric_limits<float>::infinity();  // image 1, channel 2
  for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d_weights}) {
    for (const Algorithm* algorithm : rounding_algorithms(in, kind)) {
      // The same sums without rounding: algorithms differ in whether they leave out what lies beyond the border.
      const Tensor expected = in.run(exact_counterpart(*algorithm), kind);
      const std::vector<double> a = in.run(*algorithm, kind).to_vector<double>(), e = expected.to_vector<double>();
      for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::isfinite(a[i]) == std::isfinite(e[i]));
    }
  }
}

TEST_CASE("a backward pass rounds as its forward pass did, to every order, whatever holds by then") {
  if (!is_here() || std::getenv("DYGRAD_BACKEND")) {
    SUCCEED("nothing multiplies bfloat16 here");
    return;
  }
  const ConvOperands in(kLayer, float32, random_values);
  Tensor x = kernel::clone(in.x), w = kernel::clone(in.w);
  x.set_stop_gradient(false);
  w.set_stop_gradient(false);
  const Conv2DParams p = kLayer.params();
  Tensor y;
  std::vector<Tensor> grads;
  const auto forward = lines_of([&] {
    const ExecutionGuard guard({.math_mode = MathMode::bfloat16});
    y = explicit_conv2d_transpose(x, w, p);
  });
  CHECK((forward.size() == 1 && all_round(forward)));
  const auto backward = lines_of([&] { grads = grad({y}, {x, w}, {.grad_outputs = {in.g}, .create_graph = true}); });
  CHECK((backward.size() == 2 && all_round(backward)));
  const auto second = lines_of([&] { grad({grads[0], grads[1]}, {x, w}, {.grad_outputs = {in.x, in.w}}); });
  CHECK((!second.empty() && all_round(second)));
  const auto without = lines_of([&] { grad({explicit_conv2d_transpose(x, w, p)}, {x, w}, {.grad_outputs = {in.g}}); });
  CHECK((without.size() == 3 && std::none_of(without.begin(), without.end(), [](const std::string& line) {
           return line.find("bf16") != std::string::npos;
         })));
}

TEST_CASE("float64 is never rounded to bfloat16") {
  const ConvOperands in(kLayer, float64, random_values);
  for (const Kind kind : kDirections) CHECK(rounding_algorithms(in, kind).empty());
  const Conv2DParams p = kLayer.params();
  const Tensor exact = explicit_conv2d_transpose(in.x, in.w, p);
  const ExecutionGuard guard({.math_mode = MathMode::bfloat16});
  CHECK(identical(explicit_conv2d_transpose(in.x, in.w, p), exact));
}

TEST_CASE("where nothing multiplies bfloat16, one verbose line says that it is ignored") {
  const char* backend = std::getenv("DYGRAD_BACKEND");
  if (backend && std::string_view(backend) == "reference") {  // the process below
    const ConvOperands in(kSmallShapes[0], float32, random_values);
    const ExecutionGuard guard({.math_mode = MathMode::bfloat16});
    const auto lines = lines_of([&] {
      for (int i = 0; i < 3; ++i) explicit_conv2d_transpose(in.x, in.w, kSmallShapes[0].params());
    });
    CHECK(lines.size() == 4);
    CHECK_THAT(lines[0], ContainsSubstring("bfloat16 is ignored"));
    return;
  }
  const CommandResult result =
      run_test_in_new_process("where nothing multiplies bfloat16*", "DYGRAD_BACKEND=reference");
  INFO(result.output);
  CHECK(result.status == 0);
}
