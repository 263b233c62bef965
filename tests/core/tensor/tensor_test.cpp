#include <dygrad/core/tensor/tensor.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

#include <cmath>
#include <limits>

using namespace dygrad;
using dygrad::testing::MessageContains;

TEST_CASE("an undefined tensor says so instead of crashing") {
  const Tensor x;
  CHECK_FALSE(x.defined());
  CHECK(x.stop_gradient());
  CHECK_THROWS_MATCHES(x.shape(), InvalidArgument, MessageContains("before it was given a value", "defined()"));
  CHECK_THROWS_AS(x.dtype(), InvalidArgument);
  CHECK_THROWS_AS(x.item(), InvalidArgument);
  CHECK_THROWS_AS(x.num_elements(), InvalidArgument);
  CHECK_THROWS_AS(x.read<float>(), InvalidArgument);
  CHECK_THROWS_AS(x.version(), InvalidArgument);
  CHECK_THROWS_AS(x.to_vector<float>(), InvalidArgument);
  CHECK_THROWS_AS(Tensor().fill(1), InvalidArgument);
}

TEST_CASE("copies of a handle share values") {
  Tensor x = zeros({2, 2});
  Tensor y = x;
  y.fill(3);
  CHECK(x.to_vector<float>() == std::vector<float>{3, 3, 3, 3});
  CHECK(x.is_same(y));
  CHECK(sizeof(Tensor) == sizeof(void*));
}

TEST_CASE("tensors are aligned and of the asked format") {
  for (int i = 0; i < 20; ++i) {
    const Tensor x = Tensor::empty({i}, float32);
    CHECK(reinterpret_cast<std::uintptr_t>(x.data<float>()) % 64 == 0);
  }
  const Tensor x = Tensor::empty({2, 3, 4, 5}, float32, MemoryFormat::channels_last);
  CHECK(x.is_contiguous(MemoryFormat::channels_last));
  CHECK_FALSE(x.is_contiguous());
  CHECK_FALSE(zeros({2}).is_contiguous(MemoryFormat::channels_last));
}

TEST_CASE("impossible sizes are refused before anything is allocated") {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS_AS(Tensor::empty({kHuge, kHuge}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({kHuge}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({-1}), ShapeError);
  CHECK_THROWS_MATCHES(Tensor::empty({kHuge / 4}), OutOfMemory, MessageContains("asked for", "bytes"));
}

TEST_CASE("item needs exactly one element and converts it") {
  CHECK(tensor(2.75).item() == 2.75);
  CHECK(tensor(-2.75).item<int>() == -2);
  CHECK(tensor({{7}}).item<std::int64_t>() == 7);
  CHECK(tensor(0.5).item<bool>());
  CHECK_FALSE(tensor(0.0).item<bool>());
  CHECK(tensor(1e30).item<std::int64_t>() == std::numeric_limits<std::int64_t>::max());
  CHECK(tensor(std::nan("")).item<std::int64_t>() == 0);
  CHECK_THROWS_MATCHES(tensor({1, 2}).item(), ShapeError, MessageContains("item", "1 element", "[2]"));
  CHECK_THROWS_AS(zeros({0}).item(), ShapeError);
}

TEST_CASE("int64 values keep all their bits") {
  const std::int64_t large = (std::int64_t{1} << 53) + 1;  // no double equals it
  CHECK(tensor({large}).item<std::int64_t>() == large);
  CHECK(tensor({large}).to_vector<std::int64_t>()[0] == large);
}

TEST_CASE("at takes one index per dimension") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(x.at({1, 2}) == 6);
  CHECK(x.at({-1, -3}) == 4);
  CHECK_THROWS_MATCHES(x.at({1}), ShapeError, MessageContains("2 indices", "[2, 3]"));
  CHECK_THROWS_MATCHES(x.at({0, 3}), ShapeError,
                       MessageContains("at: ", "[2, 3]", "[0, 3]", "[-3, 3) along axis 1", "got 3"));
}

TEST_CASE("read and write insist on type and contiguity") {
  Tensor x = tensor({{1., 2.}, {3., 4.}});
  CHECK(x.read<float>()[2] == 3);
  CHECK_THROWS_MATCHES(x.read<double>(), DtypeError, MessageContains("float32", "float64"));
  CHECK_THROWS_MATCHES(view::transpose(x, 0, 1).read<float>(), ShapeError, MessageContains("contiguous", "[1, 2]"));
  const auto before = x.version();
  x.write<float>()[0] = 9;
  CHECK(x.version() == before + 1);
  CHECK(x.at({0, 0}) == 9);
}

TEST_CASE("to_vector reads any strides and converts") {
  const Tensor x = view::transpose(tensor({{1.5, -2.5}, {3., 300.}}), 0, 1);
  CHECK(x.to_vector<double>() == std::vector<double>{1.5, 3, -2.5, 300});
  CHECK(x.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{1, 3, 0, 255});
  CHECK(zeros({0, 2}).to_vector<float>().empty());
}

TEST_CASE("set_value copies into place, or leaves everything as it was") {
  Tensor x = zeros({2, 2});
  const auto before = x.version();
  x.set_value(view::transpose(tensor({{1., 2.}, {3., 4.}}), 0, 1));
  CHECK(x.to_vector<float>() == std::vector<float>{1, 3, 2, 4});
  CHECK(x.version() == before + 1);
  CHECK_THROWS_MATCHES(x.set_value(zeros({4})), ShapeError, MessageContains("set_value", "[2, 2]", "[4]"));
  CHECK_THROWS_MATCHES(x.set_value(zeros({2, 2}, float64)), DtypeError, MessageContains("float32", "float64"));
  CHECK(x.version() == before + 1);
  CHECK(x.to_vector<float>() == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("dim counts from either end") {
  const Tensor x = zeros({2, 3});
  CHECK(x.dim(-1) == 3);
  CHECK(x.dim(0) == 2);
  CHECK_THROWS_AS(x.dim(2), ShapeError);
}

TEST_CASE("a number has no extents to ask for") {
  CHECK_THROWS_MATCHES(ones({}).dim(0), ShapeError, MessageContains("dim", "rank 0", "rank()"));
  CHECK_THROWS_AS(ones({}).dim(-1), ShapeError);
}
