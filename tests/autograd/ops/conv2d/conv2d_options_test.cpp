#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("a pair is one number for both axes, or height and width") {
  CHECK(Pair(3) == Pair(3, 3));
  const Pair pair = {1, 2};
  CHECK(pair.h == 1);
  CHECK(pair.w == 2);
}

TEST_CASE("an output size is absent, one number, or two") {
  CHECK_FALSE(OutputSize().has_value());
  CHECK_FALSE(OutputSize(std::nullopt).has_value());
  CHECK(*OutputSize(7) == Pair(7, 7));
  CHECK(*OutputSize(7, 9) == Pair(7, 9));
}

TEST_CASE("padding keeps the form it was written in") {
  const Padding2D one = 1, two = {1, 2}, sides = {1, 2, 3, 4}, dims = {{0, 0}, {0, 0}, {1, 2}, {3, 4}};
  CHECK(one.form() == Padding2D::Form::pair);
  CHECK(one.values() == std::array<std::int64_t, 4>{1, 1});
  CHECK(two.values() == std::array<std::int64_t, 4>{1, 2});
  CHECK(sides.form() == Padding2D::Form::sides);
  CHECK(sides.values() == std::array<std::int64_t, 4>{1, 2, 3, 4});
  CHECK(dims.form() == Padding2D::Form::dims);
  CHECK(dims.dims()[3] == Pair(3, 4));
}

TEST_CASE("padding words are read in any case, and others refused") {
  CHECK(Padding2D("same").form() == Padding2D::Form::same);
  CHECK(Padding2D("SAME").form() == Padding2D::Form::same);
  CHECK(Padding2D(std::string("Valid")).form() == Padding2D::Form::valid);
  CHECK_THROWS_MATCHES(Padding2D("full"), InvalidArgument,
                       MessageContains("padding", "\"SAME\" or \"VALID\"", "got \"full\""));
}

TEST_CASE("a data format is NCHW or NHWC") {
  CHECK(DataFormat("NHWC") == DataFormat::NHWC);
  CHECK(DataFormat(std::string("NCHW")) == DataFormat::NCHW);
  CHECK_THROWS_MATCHES(DataFormat("nhwc"), InvalidArgument,
                       MessageContains("data_format", "\"NCHW\" or \"NHWC\"", "got \"nhwc\""));
}
