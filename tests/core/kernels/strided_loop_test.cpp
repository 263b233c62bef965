#include <dygrad/core/kernels/strided_loop.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

#include <algorithm>
#include <random>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

/// A tensor of that shape whose elements lie in random order and distance, or repeat (stride 0) if allowed.
Tensor scattered(const Shape& shape, std::mt19937& random, bool may_repeat) {
  Axes order = shape;
  for (int i = 0; i < order.rank(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  Strides strides = shape;
  std::int64_t step = 1 + static_cast<std::int64_t>(random() % 2);
  for (int i = order.rank() - 1; i >= 0; --i) {
    const int dim = static_cast<int>(order[i]);
    if (may_repeat && random() % 3 == 0) {
      strides[dim] = 0;
    } else {
      strides[dim] = step;
      step *= shape[dim] + static_cast<std::int64_t>(random() % 2);
    }
  }
  const std::int64_t offset = static_cast<std::int64_t>(random() % 5);
  const Tensor base = arange(0, static_cast<double>(step + offset), 1, float64);
  return view::strided(base, shape, strides, offset);
}

std::int64_t offset_of(const Tensor& x, std::int64_t element) {
  std::int64_t offset = 0;
  for (int i = x.rank() - 1; i >= 0; --i) {
    offset += element % x.shape()[i] * x.strides()[i];
    element /= x.shape()[i];
  }
  return offset;
}

}  // namespace

TEST_CASE("a strided loop visits each element once with the right operands, whatever the strides") {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    for (int i = static_cast<int>(random() % 6); i >= 0; --i)
      shape.push_back(1 + static_cast<std::int64_t>(random() % 4));
    const Tensor out = scattered(shape, random, false);
    const Tensor a = scattered(shape, random, true);
    const Tensor b = scattered(shape, random, true);
    std::vector<double> wanted;
    for (std::int64_t i = 0; i < out.num_elements(); ++i) {
      wanted.push_back(a.data<double>()[offset_of(a, i)] + 1000 * b.data<double>()[offset_of(b, i)]);
    }
    const Tensor before =
        kernel::clone(view::strided(out, {static_cast<std::int64_t>(out.impl()->storage->num_bytes() / 8)}, {1}, 0));
    kernel::map_into<double, double, double>([](double x, double y) { return x + 1000 * y; }, out, a, b);
    INFO("round " << round << ", shape " << shape << ", strides " << out.strides() << a.strides() << b.strides());
    std::vector<bool> written(static_cast<std::size_t>(before.num_elements()));
    for (std::int64_t i = 0; i < out.num_elements(); ++i) {
      REQUIRE(out.data<double>()[offset_of(out, i)] == wanted[static_cast<std::size_t>(i)]);
      written[static_cast<std::size_t>(out.impl()->offset + offset_of(out, i))] = true;
    }
    const auto* storage = reinterpret_cast<const double*>(out.impl()->storage->data());
    for (std::size_t i = 0; i < written.size(); ++i) {
      if (!written[i]) REQUIRE(storage[i] == before.data<double>()[i]);
    }
  }
}

TEST_CASE("equal dense operands are one run") {
  const Tensor x = zeros({3, 4, 5});
  int runs = 0;
  kernel::StridedLoop({&x, &x}).run([&](const auto&, std::int64_t n) {
    ++runs;
    CHECK(n == 60);
  });
  CHECK(runs == 1);
  const Tensor last = Tensor::empty({2, 3, 4, 5}, float32, MemoryFormat::channels_last);
  runs = 0;
  kernel::StridedLoop({&last, &last}).run([&](const auto&, std::int64_t) { ++runs; });
  CHECK(runs == 1);
}

TEST_CASE("empty tensors and single elements need no special care") {
  int runs = 0;
  const Tensor none = zeros({3, 0, 2});
  kernel::StridedLoop({&none}).run([&](const auto&, std::int64_t) { ++runs; });
  CHECK(runs == 0);
  const Tensor one = view::expand(tensor(5.), {1, 1});
  CHECK(kernel::map(
            "square", [](auto v) { return v * v; }, one)
            .item() == 25);
}

TEST_CASE("large tensors are split over threads without losing an element") {
  const Tensor x = view::transpose(view::reshape(arange(0, 600 * 700, 1, float64), {600, 700}).value(), 0, 1);
  const Tensor y = kernel::map(
      "add one", [](auto v) { return v + 1; }, x);
  REQUIRE(y.shape() == Shape{700, 600});
  const double* values = y.data<double>();
  bool same = true;
  for (std::int64_t i = 0; i < 700; ++i) {
    for (std::int64_t j = 0; j < 600; ++j) same = same && values[i * 600 + j] == static_cast<double>(j * 700 + i + 1);
  }
  CHECK(same);
}

TEST_CASE("map refuses dtypes by the op's name") {
  const auto same = [](auto v) { return v; };
  CHECK_THROWS_MATCHES(kernel::map("exp", same, tensor({1, 2})), DtypeError, MessageContains("exp", "int64"));
  CHECK_THROWS_MATCHES(kernel::map_numeric("neg", same, tensor({true})), DtypeError, MessageContains("neg", "bool"));
  CHECK(kernel::map_to_bool([](auto a, auto b) { return a < b; }, tensor({1, 5}), tensor({2, 3})).to_vector<bool>() ==
        std::vector<bool>{true, false});
}

TEST_CASE("loops over tensors of different shapes are refused, whatever the build") {
  const auto add = [](const Tensor& a, const Tensor& b) {
    return kernel::map(
        "add", [](auto u, auto v) { return u + v; }, a, b);
  };
  CHECK_THROWS_MATCHES(add(zeros({2}), zeros({3})), ShapeError,
                       dygrad::testing::MessageContains("different shapes", "[2]", "[3]"));
  CHECK_THROWS_AS(add(zeros({2, 3}), zeros({3, 2})), ShapeError);
}
