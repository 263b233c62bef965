#include <dygrad/core/tensor/print.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

#include <cmath>
#include <limits>
#include <sstream>

using namespace dygrad;

TEST_CASE("shapes and dtypes print as people write them") {
  CHECK(to_string(Shape{2, 3}) == "[2, 3]");
  CHECK(to_string(Shape()) == "[]");
  std::ostringstream out;
  out << Shape(4) << ' ' << float32 << ' ' << boolean;
  CHECK(out.str() == "[4] float32 bool");
  CHECK(fmt::format("{} {}", Shape{1, 2}, int64) == "[1, 2] int64");
}

TEST_CASE("a tensor prints values, shape and dtype") {
  CHECK(to_string(tensor({{1., 2.}})) == "tensor([[1., 2.]], shape=[1, 2], dtype=float32)");
  CHECK(to_string(tensor(3)) == "tensor(3, shape=[], dtype=int64)");
  CHECK(to_string(tensor(-0.5)) == "tensor(-0.5, shape=[], dtype=float32)");
  CHECK(to_string(zeros({0, 3})) == "tensor([], shape=[0, 3], dtype=float32)");
  CHECK(to_string(Tensor()) == "tensor(undefined)");
  std::ostringstream out;
  out << tensor({1, 2});
  CHECK(out.str() == "tensor([1, 2], shape=[2], dtype=int64)");
  CHECK(fmt::format("{}", tensor({1, 2})) == out.str());
}

TEST_CASE("columns are aligned") {
  CHECK(to_string(tensor({{1, -20}, {300, 4}})) ==
        "tensor([[  1, -20],\n"
        "        [300,   4]], shape=[2, 2], dtype=int64)");
  CHECK(to_string(tensor({{1.5, -2.}, {10.25, 0.}})) ==
        "tensor([[ 1.5 , -2.  ],\n"
        "        [10.25,  0.  ]], shape=[2, 2], dtype=float32)");
  CHECK(to_string(tensor({true, false})) == "tensor([ true, false], shape=[2], dtype=bool)");
}

TEST_CASE("matrices of a batch are set apart by an empty line") {
  CHECK(to_string(tensor({{{1, 2}}, {{3, 4}}})) ==
        "tensor([[[1, 2]],\n"
        "\n"
        "        [[3, 4]]], shape=[2, 1, 2], dtype=int64)");
}

TEST_CASE("infinities and nan print by name") {
  CHECK(to_string(tensor({1.5, INFINITY, -INFINITY, NAN})) ==
        "tensor([ 1.5,  inf, -inf,  nan], shape=[4], dtype=float32)");
}

TEST_CASE("numbers keep four digits after the point unless more are asked for") {
  CHECK(to_string(tensor({0.1, 2. / 3})) == "tensor([0.1   , 0.6667], shape=[2], dtype=float32)");
  CHECK(to_string(tensor({0.1}), {.precision = 12}) == "tensor([0.1], shape=[1], dtype=float32)");
  CHECK(to_string(tensor({0.1}, float64), {.precision = 12}) == "tensor([0.1], shape=[1], dtype=float64)");
  CHECK(to_string(tensor({1.26}), {.precision = 1}) == "tensor([1.3], shape=[1], dtype=float32)");
  CHECK(to_string(tensor({1.26}), {.precision = 0}) == "tensor([1.], shape=[1], dtype=float32)");
}

TEST_CASE("values of very different size print in scientific notation") {
  CHECK(to_string(tensor({1e-5, 1., 1e10})) == "tensor([1.e-05, 1.e+00, 1.e+10], shape=[3], dtype=float32)");
  CHECK(to_string(tensor({1.25e20, -3.})) == "tensor([ 1.25e+20, -3.00e+00], shape=[2], dtype=float32)");
  CHECK(to_string(tensor({0., 1e-300}, float64)) == "tensor([ 0.e+00, 1.e-300], shape=[2], dtype=float64)");
}

TEST_CASE("long tensors are shortened in the middle") {
  CHECK(to_string(arange(2000)) == "tensor([   0,    1,    2, ..., 1997, 1998, 1999], shape=[2000], dtype=int64)");
  CHECK(to_string(view::reshape(arange(25), {5, 5}).value(), {.threshold = 10, .edge_items = 1}) ==
        "tensor([[ 0, ...,  4],\n"
        "        ...,\n"
        "        [20, ..., 24]], shape=[5, 5], dtype=int64)");
}

TEST_CASE("long rows are wrapped") {
  CHECK(to_string(arange(12), {.line_width = 30}) ==
        "tensor([ 0,  1,  2,  3,  4,\n"
        "         5,  6,  7,  8,  9,\n"
        "        10, 11],\n"
        "       shape=[12], dtype=int64)");
}

TEST_CASE("views print in their own order") {
  CHECK(to_string(view::transpose(tensor({{1, 2}, {3, 4}}), 0, 1)) ==
        "tensor([[1, 3],\n"
        "        [2, 4]], shape=[2, 2], dtype=int64)");
  CHECK(to_string(view::expand(tensor({7}), {3})) == "tensor([7, 7, 7], shape=[3], dtype=int64)");
}

TEST_CASE("odd print options do no harm") {
  CHECK(to_string(arange(100), {.precision = -5, .threshold = -1, .edge_items = 0}) ==
        "tensor([ 0, ..., 99], shape=[100], dtype=int64)");
  CHECK_FALSE(to_string(tensor({1.5}), {.precision = 1000, .line_width = 0}).empty());
  for (const std::int64_t edge : {std::numeric_limits<std::int64_t>::max(), std::int64_t{1} << 62}) {
    CHECK(to_string(arange(3), {.threshold = 1, .edge_items = edge}) == "tensor([0, 1, 2], shape=[3], dtype=int64)");
  }
}

TEST_CASE("a NaN is printed without its sign") {
  const double negative = std::copysign(std::numeric_limits<double>::quiet_NaN(), -1);
  const Tensor x = full({2}, negative, float64);
  CHECK(to_string(x) == "tensor([nan, nan], shape=[2], dtype=float64)");
  CHECK(to_string(tensor({negative, 1e9}, float32)).find("-nan") == std::string::npos);
  CHECK_FALSE(std::signbit(full({}, negative, float64).item()));
  CHECK_FALSE(std::signbit(x.at<float>({0})));
  CHECK(std::string(Message("op", "problem.").got("{} and ({:.2f})", negative, negative)) ==
        "op: problem.\n  got nan and (nan)");
  CHECK(std::string(Message("op", "problem.").line("{}", "x-nan, -nano")) == "op: problem.\n  x-nan, -nano");
}

TEST_CASE("printing without memory is OutOfMemory") {
  const Tensor x = tensor({{1., 2.5}, {3., 1e9}}, float64);
  const auto ignored = [](std::int64_t, bool) {};
  CHECK(dygrad::testing::for_each_failing_allocation([&] { (void)to_string(x); }, ignored) > 0);
}
