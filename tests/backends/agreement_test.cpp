// Every backend computes what the reference backend defines.
#include <dygrad/core/parallel.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Runs check(backend, operands, direction) for every problem of `shapes` that a backend takes, in both float types.
template <class Make, class Check>
void for_each_supported(std::span<const ConvShape> shapes, const Make& make, const Check& check) {
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      for (const ConvShape& shape : shapes) {
        const ConvOperands in(shape, dtype, make);
        for (const Kind kind : kDirections) {
          if (!supports(backend(name), shape, kind, dtype)) continue;
          INFO(name << ", " << shape << ", " << name_of(kind) << ", " << name_of(dtype));
          check(backend(name), in, kind);
        }
      }
    }
  }
}

/// The result of `in`, computed by `backend`, is within rounding of the reference's.
void check_against_reference(Backend& candidate, const ConvOperands& in, Kind kind) {
  Backend& reference = backend("reference");
  const DType dtype = in.x.dtype();
  const Tensor magnitude = ConvOperands(in.shape, absolute(in.x), absolute(in.w), absolute(in.g)).run(reference, kind);
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

TEST_CASE("the three directions are exact adjoints on whole numbers") {
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      for (const ConvShape& shape : kSmallShapes) {
        const ConvOperands in(shape, dtype, random_integers);
        INFO(name << ", " << shape << ", " << name_of(dtype));
        const std::int64_t expected = inner_product(in.run(backend("reference"), Kind::deconv2d), in.g);
        if (supports(backend(name), shape, Kind::deconv2d, dtype)) {
          CHECK(inner_product(in.run(backend(name), Kind::deconv2d), in.g) == expected);
        }
        if (supports(backend(name), shape, Kind::deconv2d_data, dtype)) {
          CHECK(inner_product(in.run(backend(name), Kind::deconv2d_data), in.x) == expected);
        }
        if (supports(backend(name), shape, Kind::deconv2d_weights, dtype)) {
          CHECK(inner_product(in.run(backend(name), Kind::deconv2d_weights), in.w) == expected);
        }
      }
    }
  }
}

TEST_CASE("kernels leave their inputs as they were and give fresh, dense results") {
  for_each_supported(kSmallShapes, random_values, [](Backend& candidate, const ConvOperands& in, Kind kind) {
    const Tensor x = raw::clone(in.x), w = raw::clone(in.w), g = raw::clone(in.g);
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
  for_each_supported(kLayerShapes, random_values, [](Backend& candidate, const ConvOperands& in, Kind kind) {
    const Tensor first = in.run(candidate, kind);
    CHECK(identical(first, in.run(candidate, kind)));
  });
}

TEST_CASE("one thread and two agree to round-off") {
  const int threads_before = num_threads();
  for_each_supported(kLayerShapes, random_values, [](Backend& candidate, const ConvOperands& in, Kind kind) {
    set_num_threads(1);
    const Tensor one = in.run(candidate, kind);
    set_num_threads(2);
    const Tensor magnitude =
        ConvOperands(in.shape, absolute(in.x), absolute(in.w), absolute(in.g)).run(backend("reference"), kind);
    check_within(in.run(candidate, kind), one, magnitude, 2 * gamma(reduction_length(in.shape, kind), in.x.dtype()));
  });
  set_num_threads(threads_before);
}
