#include <dygrad/core/creation/factories.h>

#include <array>

#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

using namespace dygrad;
using dygrad::testing::MessageContains;

TEST_CASE("nested lists give shape and dtype") {
  CHECK(tensor({{1, 2}, {3, 4}}).shape() == Shape{2, 2});
  CHECK(tensor({{1, 2}, {3, 4}}).dtype() == int64);
  CHECK(tensor({1., 2.}).dtype() == float32);
  CHECK(tensor({1, 2.5}).dtype() == float32);
  CHECK(tensor({true, false}).dtype() == boolean);
  CHECK(tensor({true, 2}).dtype() == int64);
  CHECK(tensor(3).rank() == 0);
  CHECK(tensor({}).shape() == Shape{0});
  CHECK(tensor({1, 2}, float64).dtype() == float64);
  CHECK(tensor({1.9, -1.9, 1e30}, int64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, -1, std::numeric_limits<std::int64_t>::max()});
  CHECK(tensor({0.5, 0.}, boolean).to_vector<bool>() == std::vector<bool>{true, false});
}

TEST_CASE("ragged and too deep lists are refused") {
  CHECK_THROWS_MATCHES(tensor({{1, 2}, {3}}), ShapeError, MessageContains("ragged", "[2, 2]"));
  CHECK_THROWS_AS(tensor({{1, 2}, 3}), ShapeError);
  CHECK_THROWS_AS(tensor({1, {2, 3}}), ShapeError);
  CHECK_THROWS_AS(tensor({{1}, {{2}}}), ShapeError);
  NestedList deep = 1;
  for (int i = 0; i < 7; ++i) deep = NestedList({deep});
  CHECK_THROWS_AS(tensor(deep), ShapeError);
}

TEST_CASE("values are copied from spans and vectors of the right length") {
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor x = from_vector(values, {2, 3});
  values[0] = 9;
  CHECK(x.at({0, 0}) == 1);
  CHECK(from_vector(values).shape() == Shape{6});
  CHECK_THROWS_MATCHES(from_vector(values, {2, 2}), ShapeError,
                       MessageContains("from_vector: ", "4 values", "[2, 2]", "got 6"));
  CHECK_THROWS_MATCHES(from_span<float>({}, {1}), ShapeError, MessageContains("from_span: "));
  CHECK_THROWS_AS(from_vector(values, {-2, -3}), ShapeError);
  CHECK(from_vector(std::vector<std::int64_t>{}, {0, 4}).num_elements() == 0);
}

TEST_CASE("borrowed memory is not copied and is given back exactly once") {
  std::vector<float> memory{1, 2, 3, 4};
  int calls = 0;
  {
    Tensor x = from_memory(memory.data(), {2, 2}, float32, [&](void* data) {
      CHECK(data == memory.data());
      ++calls;
    });
    const Tensor y = x;
    x.fill(7);
    CHECK(memory[3] == 7);
    CHECK(calls == 0);
  }
  CHECK(calls == 1);
}

TEST_CASE("borrowing refuses null and misaligned pointers") {
  alignas(8) char bytes[16] = {};
  CHECK_THROWS_MATCHES(from_memory(bytes + 1, {1}, float32), InvalidArgument, MessageContains("aligned", "4 bytes"));
  CHECK_THROWS_MATCHES(from_memory(nullptr, {1}, float32), InvalidArgument, MessageContains("null"));
  CHECK_THROWS_AS(from_memory(bytes, {std::numeric_limits<std::int64_t>::max()}, float64), ShapeError);
  CHECK(from_memory(nullptr, {0}, float32).num_elements() == 0);
  CHECK(from_memory(bytes + 1, {3}, uint8).num_elements() == 3);
  std::array<std::uint8_t, 4> truths{0, 1, 2, 255};
  CHECK(from_memory(truths.data(), {2}, boolean).num_elements() == 2);
  CHECK_THROWS_MATCHES(from_memory(truths.data(), {4}, boolean), InvalidArgument,
                       MessageContains("from_memory: a byte is no bool.", "got 2 at position 2", "fix"));
}

TEST_CASE("constant tensors and those like another") {
  CHECK(full({2}, 2.5).to_vector<float>() == std::vector<float>{2.5, 2.5});
  CHECK(full({2}, 300, uint8).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{255, 255});
  CHECK(ones({3}, boolean).to_vector<bool>() == std::vector<bool>(3, true));
  const Tensor x = Tensor::empty({2, 3, 4, 5}, float64, MemoryFormat::channels_last);
  CHECK(zeros_like(x).strides() == x.strides());
  CHECK(zeros_like(x).dtype() == float64);
  CHECK(ones_like(tensor({1, 2})).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 1});
  CHECK(zeros({}).item() == 0);
}

TEST_CASE("arange counts from start to before stop") {
  CHECK(arange(4).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(arange(1, 2, 0.25, float64).to_vector<double>() == std::vector<double>{1, 1.25, 1.5, 1.75});
  CHECK(arange(3, 0, -1).to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 2, 1});
  CHECK(arange(0).num_elements() == 0);
  CHECK_THROWS_MATCHES(arange(0, 3, -1), InvalidArgument, MessageContains("leads away"));
  CHECK_THROWS_AS(arange(5, 4, 3), InvalidArgument);
  CHECK_THROWS_AS(arange(-1, 0, -2), InvalidArgument);
  CHECK(arange(.1 + .2, .3, .1, float64).num_elements() == 0);  // a rounding beyond its stop
  CHECK_THROWS_MATCHES(arange(0, 3, 0), InvalidArgument, MessageContains("fix: give a step other than 0"));
  CHECK_THROWS_MATCHES(arange(0, INFINITY), InvalidArgument, MessageContains("fix: give finite numbers"));
  CHECK_THROWS_MATCHES(arange(0, 1e300), InvalidArgument,
                       MessageContains("values.\n  got start 0", "fix: give a larger step"));
  CHECK_THROWS_MATCHES(arange(1e308, -1.5e308, -1e308, float64), InvalidArgument,
                       MessageContains("a finite difference", "fix: give closer bounds: stop - start overflows"));
  CHECK_THROWS_AS(arange(0, std::nan("")), InvalidArgument);
  CHECK_THROWS_AS(arange(0, 3, 1, boolean), DtypeError);
}

TEST_CASE("arange does not pass its stop for the rounding of its arguments") {
  CHECK(arange(1, 1.6, .1, float64).to_vector<double>() ==
        std::vector<double>{1, 1 + .1, 1 + 2 * .1, 1 + 3 * .1, 1 + 4 * .1, 1 + 5 * .1});
  CHECK(arange(1.6, 1, -.1, float64).num_elements() == 6);
  CHECK(arange(-1.6, -1, .1, float64).num_elements() == 6);
  CHECK(arange(0, .3, .1, float64).num_elements() == 3);
  CHECK(arange(1, 1.3, .1, float64).num_elements() == 3);
  CHECK(arange(5, 5.6, .2).num_elements() == 3);
  CHECK(arange(0, 1.05, .1, float64).num_elements() == 11);
  // A thousand grids that end on their stop, all of which are rounded somehow.
  for (int n = 1; n <= 1000; ++n) {
    const double step = n / 7.;
    CAPTURE(n);
    CHECK(arange(3, 3 + 100 * step, step, float64).num_elements() == 100);
    CHECK(arange(3, 3 + 99.5 * step, step, float64).num_elements() == 100);
  }
  CHECK(arange(0x1p52, 0x1p52 + 3).num_elements() == 3);
  CHECK(arange(0, 1e6 + .5, 1, float32).num_elements() == 1'000'001);
}

TEST_CASE("arange of integers is exact beyond 2^53") {
  using Whole = std::vector<std::int64_t>;
  constexpr std::int64_t k53 = std::int64_t{1} << 53, k62 = std::int64_t{1} << 62;
  CHECK(arange(0x1p53, 0x1p53 + 4, 1, int64).to_vector<std::int64_t>() == Whole{k53, k53 + 1, k53 + 2, k53 + 3});
  CHECK(arange(-0x1p53, -0x1p53 - 4, -1).to_vector<std::int64_t>() == Whole{-k53, -k53 - 1, -k53 - 2, -k53 - 3});
  CHECK(arange(0x1p62, 0x1p63, 0x1p61).to_vector<std::int64_t>() == Whole{k62, k62 + k62 / 2});
  CHECK(arange(-0x1p63, 0x1p62, 0x1p62).to_vector<std::int64_t>() == Whole{-2 * k62, -k62, 0});
}

TEST_CASE("arange refuses values that an integer dtype does not hold") {
  CHECK(arange(254, 256, 1, uint8).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{254, 255});
  CHECK(arange(3, -1, -1, uint8).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{3, 2, 1, 0});
  CHECK_THROWS_MATCHES(arange(250, 260, 1, uint8), InvalidArgument,
                       MessageContains("arange", "stop 260", "[0, 255]", "fix"));
  CHECK_THROWS_AS(arange(-1, 2, 1, uint8), InvalidArgument);
  CHECK_THROWS_AS(arange(0x1p63, 0x1p63 + 4096, 2048), InvalidArgument);
  CHECK_THROWS_AS(arange(-0x1p80, -0x1p70, 0x1p70), InvalidArgument);
  CHECK(arange(300, 300, 1, uint8).num_elements() == 0);
}

TEST_CASE("a factory that finds no memory is named") {
  const Shape huge{std::int64_t{1} << 20, std::int64_t{1} << 20, 1 << 16};
  CHECK_THROWS_MATCHES(ones(huge), OutOfMemory, MessageContains("ones: ", "bytes"));
  CHECK_THROWS_MATCHES(zeros(huge), OutOfMemory, MessageContains("zeros: "));
  CHECK_THROWS_MATCHES(full(huge, 3), OutOfMemory, MessageContains("full: "));
  CHECK_THROWS_MATCHES(arange(std::int64_t{1} << 56), OutOfMemory, MessageContains("arange: "));
  CHECK_THROWS_MATCHES(linspace(0, 1, std::int64_t{1} << 56), OutOfMemory, MessageContains("linspace: "));
}

TEST_CASE("arange keeps fractions") {
  CHECK(arange(0, 1, .25).to_vector<float>() == std::vector<float>{0, .25, .5, .75});
  CHECK(arange(.5, 3).dtype() == float32);
  CHECK(arange(0, 2.5).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2});
  CHECK_THROWS_MATCHES(arange(0, 1, .25, int64), DtypeError,
                       MessageContains("arange", "fractions", "float32", "got int64", "fix"));
  CHECK_THROWS_AS(arange(.5, 3, 1, uint8), DtypeError);
}

TEST_CASE("linspace includes both ends") {
  CHECK(linspace(0, 1, 5, float64).to_vector<double>() == std::vector<double>{0, 0.25, 0.5, 0.75, 1});
  const Tensor thirds = linspace(0.1, 0.3, 7, float64);
  CHECK(thirds.at({0}) == 0.1);
  CHECK(thirds.at({6}) == 0.3);
  CHECK(linspace(5, 9, 1).to_vector<float>() == std::vector<float>{5});
  CHECK(linspace(5, 9, 0).num_elements() == 0);
  CHECK_THROWS_AS(linspace(0, 1, -1), InvalidArgument);
}

TEST_CASE("eye has ones on the main diagonal") {
  CHECK(eye(2).to_vector<float>() == std::vector<float>{1, 0, 0, 1});
  CHECK(eye(2, 3, int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 0, 0, 0, 1, 0});
  CHECK(eye(3, 1).to_vector<float>() == std::vector<float>{1, 0, 0});
  CHECK(eye(0).num_elements() == 0);
  CHECK_THROWS_AS(eye(-1), ShapeError);
  CHECK_THROWS_AS(eye(2, -2), ShapeError);
}

TEST_CASE("numbers that int64 does not hold are refused") {
  constexpr std::uint64_t kLarge = std::numeric_limits<std::uint64_t>::max(), kMax = std::uint64_t{1} << 63;
  CHECK_THROWS_MATCHES(tensor({kLarge}), InvalidArgument,
                       MessageContains("tensor", "too large", "18446744073709551615", "fix"));
  CHECK_THROWS_AS(tensor({{kMax}}, float64), InvalidArgument);
  CHECK(tensor({kMax - 1}).item<std::int64_t>() == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("linspace has finite ends") {
  CHECK_THROWS_MATCHES(linspace(0, INFINITY, 3), InvalidArgument,
                       MessageContains("linspace", "float32", "got start 0, stop inf"));
  CHECK_THROWS_AS(linspace(std::nan(""), 1, 3, float64), InvalidArgument);
  CHECK_THROWS_AS(linspace(0, 1e300, 3), InvalidArgument);
  CHECK(linspace(0, 1e300, 3, float64).at({2}) == 1e300);
  CHECK_THROWS_AS(linspace(0, 1, 3, int64), DtypeError);
}

TEST_CASE("arange is empty where only rounding parts its bounds") {
  CHECK(arange(1.0, 1.0 - 3e-16, 1e-17, float64).num_elements() == 0);
  CHECK(arange(1.0, 1.0 + 3e-16, -1e-17, float64).num_elements() == 0);
}

TEST_CASE("borrowed memory is given back once also where the call throws") {
  alignas(8) char bytes[16] = {};
  int calls = 0;
  const auto deleter = [&](void*) { ++calls; };
  CHECK_THROWS_AS(from_memory(bytes + 1, {1}, float32, deleter), InvalidArgument);
  CHECK(calls == 1);
  CHECK_THROWS_AS(from_memory(bytes, {-1}, float32, deleter), ShapeError);
  CHECK(calls == 2);
  calls = 0;
  std::function<void(void*)> small = [&calls](void*) { ++calls; };
  dygrad::testing::for_each_failing_allocation([&] { (void)from_memory(bytes, {2}, float32, std::move(small)); },
                                               [&](std::int64_t, bool) {
                                                 CHECK(calls == 1);
                                                 calls = 0;
                                                 small = [&calls](void*) { ++calls; };
                                               });
  CHECK(calls == 1);
}

TEST_CASE("values are made and read without a trace of std::bad_alloc") {
  using dygrad::testing::for_each_failing_allocation;
  const auto ignore = [](std::int64_t, bool) {};
  const Tensor x = arange(9);
  CHECK(for_each_failing_allocation([] { (void)tensor({{1, 2}, {3, 4}}); }, ignore) > 0);
  CHECK(for_each_failing_allocation([&] { (void)x.to_vector<double>(); }, ignore) > 0);
}
