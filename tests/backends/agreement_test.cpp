// Every backend computes what the reference backend defines.
#include <algorithm>
#include <utility>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

bool is_empty(const ConvShape& s) {
  return std::min({num_elements(s.x_shape()), num_elements(s.w_shape()), num_elements(s.y_shape())}) == 0;
}

/// Runs check(algorithm, operands, direction) for every algorithm of every backend and all problems of `shapes` that it
/// takes, in both float types.
template <class Make, class Check>
void for_each_supported(std::span<const ConvShape> shapes, const Make& make, const Check& check) {
  for (const DType dtype : {float32, float64}) {
    for (const ConvShape& shape : shapes) {
      if (is_empty(shape)) continue;
      const ConvOperands in(shape, dtype, make);
      for (const Kind kind : kDirections) {
        for (const auto& backend : all_backends()) {
          for (const Algorithm* algorithm : backend->algorithms()) {
            if (!supports(*algorithm, shape, kind, dtype)) continue;
            INFO(backend->name() << ":" << algorithm->name() << ", " << shape << ", " << name_of(kind) << ", "
                                 << name_of(dtype));
            check(*algorithm, in, kind);
          }
        }
      }
    }
  }
}

/// The result of `in`, computed by `backend`, is within rounding of the reference's.
void check_against_reference(const Algorithm& candidate, const ConvOperands& in, Kind kind) {
  const Backend& reference = backend("reference");
  const DType dtype = in.x.dtype();
  const Tensor magnitude = magnitude_of(candidate, in, kind);
  // The reference carries an error too, no larger than the candidate's: hence twice.
  check_within(in.run(candidate, kind), in.run(reference, kind), magnitude,
               2 * gamma(reduction_length(in.shape, kind), dtype));
}

std::int64_t inner_product(const Tensor& a, const Tensor& b) {
  const auto va = a.to_vector<std::int64_t>(), vb = b.to_vector<std::int64_t>();
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < va.size(); ++i) sum += va[i] * vb[i];
  return sum;
}

}  // namespace

TEST_CASE("every backend agrees with the reference to round-off on small shapes", "[smoke]") {
  for_each_supported(kSmallShapes, random_values, check_against_reference);
}

TEST_CASE("every backend agrees with the reference to round-off on layer-sized shapes") {
  for_each_supported(kLayerShapes, random_values, check_against_reference);
}

TEST_CASE("few channels through 1x1 kernels with stride agree with the reference") {
  // Weight gradients of such problems have been wrong in vendor libraries below one vector of channels.
  std::vector<ConvShape> shapes;
  for (const std::int64_t cin : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33}) {
    for (const std::int64_t cout : {1, 2, 3, 7, 8, 15, 16, 17, 33}) {
      shapes.push_back({"1x1 sweep", 2, cin, 5, 6, cout, 1, 1, 2, 2, 0, 0, 1, 1, 1, 0, 0});
      shapes.push_back({"1x1 sweep, extra row", 1, cin, 4, 3, cout, 1, 1, 2, 2, 0, 0, 1, 1, 1, 1, 1});
    }
  }
  for_each_supported(shapes, random_values, check_against_reference);
}

TEST_CASE("outputs that no tap reaches are written too, however many channels there are") {
  constexpr ConvShape kShapes[] = {
      {"1x1, stride 2", 1, 2048, 2, 2, 3, 1, 1, 2, 2, 0, 0, 1, 1, 1, 1, 1},
      {"1x2, stride 3x2", 2, 2048, 2, 3, 40, 1, 2, 3, 2, 0, 0, 1, 1, 1, 2, 0},
      {"3x1, stride 4x2", 1, 1024, 3, 2, 17, 3, 1, 4, 2, 0, 0, 1, 1, 1, 0, 1},
      {"two groups, dilation", 1, 4096, 2, 2, 10, 4, 1, 4, 5, 0, 0, 2, 2, 2, 0, 0},
      {"cut at the top", 1, 2048, 2, 2, 5, 2, 2, 4, 4, 1, 0, 1, 1, 1, 3, 3},
  };
  for_each_supported(kShapes, random_values, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    // What freed memory holds is found in a result that is not written.
    const Tensor& result = kind == Kind::conv2d_transpose ? in.g : kind == Kind::conv2d ? in.x : in.w;
    full(result.shape(), std::numeric_limits<double>::quiet_NaN(), result.dtype());
    check_against_reference(candidate, in, kind);
  });
}

TEST_CASE("the three directions are exact adjoints on whole numbers") {
  for_each_supported(kSmallShapes, random_integers, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    const std::int64_t expected = inner_product(in.run(backend("reference"), Kind::conv2d_transpose), in.g);
    const Tensor& partner = kind == Kind::conv2d_transpose ? in.g : kind == Kind::conv2d ? in.x : in.w;
    if (!keeps_whole_numbers(candidate)) return check_against_reference(candidate, in, kind);  // which is exact here
    CHECK(inner_product(in.run(candidate, kind), partner) == expected);
  });
}

TEST_CASE("every algorithm adds a bias per channel of an image, exactly on whole numbers") {
  for_each_supported(kSmallShapes, random_integers, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    if (kind == Kind::conv2d_weights) return;
    const std::int64_t channels = kind == Kind::conv2d_transpose ? in.shape.cout : in.shape.cin;
    const Tensor bias = random_integers({channels}, in.x.dtype(), 4);
    const Tensor expected = in.run(*backend("reference").algorithms()[0], kind, {bias});
    if (keeps_whole_numbers(candidate)) {
      CHECK(identical(in.run(candidate, kind, {bias}), expected));
    } else {
      check_within(in.run(candidate, kind, {bias}), expected, magnitude_of(candidate, in, kind),
                   2 * gamma(reduction_length(in.shape, kind) + 1, in.x.dtype()));
    }
  });
}

TEST_CASE("every algorithm applies every activation, to the last bit as the op does") {
  const std::pair<FusedActivation, Tensor (*)(const Tensor&)> activations[] = {
      {{FusedActivation::Kind::relu}, relu},
      {{FusedActivation::Kind::leaky_relu, 0.25}, [](const Tensor& x) { return leaky_relu(x, 0.25); }},
      {{FusedActivation::Kind::sigmoid}, sigmoid},
      {{FusedActivation::Kind::tanh}, tanh}};
  for_each_supported(kSmallShapes, random_values, [&](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    if (kind == Kind::conv2d_weights) return;
    const std::int64_t channels = kind == Kind::conv2d_transpose ? in.shape.cout : in.shape.cin;
    for (const Tensor& bias : {Tensor(), random_values({channels}, in.x.dtype(), 4)}) {
      const Tensor plain = in.run(candidate, kind, {bias});
      for (const auto& [activation, op] : activations) {
        INFO("activation " << static_cast<int>(activation.kind) << (bias.defined() ? ", bias" : ""));
        CHECK(identical(in.run(candidate, kind, {bias, activation}), op(plain)));
      }
    }
  });
}

TEST_CASE("algorithms apply activations to layer-sized results too, once to each number") {
  // Long sums are cut into parts, large results into blocks; sigmoid twice would show.
  const FusedActivation sigmoid_of_result{FusedActivation::Kind::sigmoid};
  for_each_supported(kLayerShapes, random_values, [&](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    if (kind == Kind::conv2d_weights) return;
    const Tensor plain = in.run(candidate, kind);
    CHECK(identical(in.run(candidate, kind, {{}, sigmoid_of_result}), sigmoid(plain)));
  });
}

TEST_CASE("sums over nothing are 0, or the bias, in every backend") {
  std::size_t empty_shapes = 0;
  for (const ConvShape& shape : kSmallShapes) {
    if (!is_empty(shape)) continue;
    ++empty_shapes;
    const ConvOperands in(shape, float32, random_integers);
    const Tensor bias = random_integers({shape.cout}, float32, 4);
    for (const std::string_view name : backend_names()) {
      if (!supports(backend(name), shape, Kind::conv2d_transpose, float32)) continue;
      INFO(name << ", " << shape);
      const Tensor y = backend(name).conv2d_transpose(shape.params(), in.x, in.w, {bias});
      REQUIRE(y.shape() == shape.y_shape());
      const std::vector<double> values = y.to_vector<double>(), biases = bias.to_vector<double>();
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t plane = values.size() / static_cast<std::size_t>(shape.n * shape.cout);
        CHECK(values[i] == biases[i / plane % biases.size()]);
      }
      for (const Kind kind : {Kind::conv2d, Kind::conv2d_weights}) {
        const std::vector<double> sums = in.run(backend(name), kind).to_vector<double>();
        CHECK(std::all_of(sums.begin(), sums.end(), [](double sum) { return sum == 0; }));
      }
    }
  }
  CHECK(empty_shapes > 0);
}

TEST_CASE("kernels leave their inputs as they were and give fresh, dense results") {
  for_each_supported(kSmallShapes, random_values, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    const Tensor x = kernel::clone(in.x), w = kernel::clone(in.w), g = kernel::clone(in.g);
    const Tensor result = in.run(candidate, kind);
    CHECK(identical(x, in.x));
    CHECK(identical(w, in.w));
    CHECK(identical(g, in.g));
    CHECK((result.is_contiguous() || result.is_contiguous(MemoryFormat::channels_last)));
    CHECK(result.impl()->storage.get() != in.x.impl()->storage.get());
    CHECK(result.dtype() == in.x.dtype());
  });
}

TEST_CASE("a kernel gives the same bits every time") {
  for_each_supported(kLayerShapes, random_values, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    const Tensor first = in.run(candidate, kind);
    CHECK(identical(first, in.run(candidate, kind)));
  });
}

TEST_CASE("one thread and two agree to round-off") {
  const int threads_before = num_threads();
  for_each_supported(kLayerShapes, random_values, [](const Algorithm& candidate, const ConvOperands& in, Kind kind) {
    set_num_threads(1);
    const Tensor one = in.run(candidate, kind);
    set_num_threads(2);
    const Tensor magnitude = magnitude_of(candidate, in, kind);
    check_within(in.run(candidate, kind), one, magnitude, 2 * gamma(reduction_length(in.shape, kind), in.x.dtype()));
  });
  set_num_threads(threads_before);
}
