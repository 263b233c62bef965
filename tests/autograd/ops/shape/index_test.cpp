#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

using Unary = std::function<Tensor(const Tensor&)>;

TEST_CASE("index_select takes whole slices, repeats allowed, negatives from the back") {
  const Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(index_select(x, 0, tensor({2, 0, -1})).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{5, 6, 1, 2, 5, 6});
  CHECK(index_select(x, 1, tensor({1})).to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 4, 6});
  CHECK(index_select(transpose(x, 0, 1), -1, tensor({1, 1})).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{3, 3, 4, 4});
  CHECK(index_select(x, 0, zeros({0}, int64)).shape() == Shape(0, 2));
}

TEST_CASE("gather takes one element per index") {
  const Tensor x = tensor({{1., 2., 3.}, {4., 5., 6.}});
  CHECK(gather(x, 1, tensor({{2, 0}, {-1, 1}})).to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 1, 6, 5});
  CHECK(gather(x, 0, tensor({{1, 0, 1}})).to_vector<std::int64_t>() == std::vector<std::int64_t>{4, 2, 6});
}

TEST_CASE("Adding at repeated indices sums up") {
  CHECK(index_add(tensor({1., 2., 4.}), 0, tensor({1, 1, 0}), 3).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{4, 3, 0});
  CHECK(scatter_add(tensor({{1., 2., 4.}}), 1, tensor({{0, 0, 1}}), 2).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{3, 4});
}

TEST_CASE("Indexing differentiates to second order in every direction") {
  const Tensor x = tensor({{0.5, -1., 2.}, {3., 0.25, -0.5}}, float64);
  const Tensor list = tensor({1, 0, 1});
  const Tensor pairs = tensor({{2, 2, 0, 1}, {0, 1, 1, 1}});
  const Tensor square_index = tensor({{2, 2, 0}, {0, 1, 1}});
  const Unary functions[] = {[&](const Tensor& t) { return index_select(t * t, 0, list); },
                             [&](const Tensor& t) { return index_add(t * t, 1, list, 4); },
                             [&](const Tensor& t) { return gather(t * t, 1, pairs); },
                             [&](const Tensor& t) { return scatter_add(t * t, 1, square_index, 3); }};
  for (const Unary& f : functions) {
    const auto report = check_grads(f, x, {.order = 2});
    INFO(report.text);
    CHECK(report.ok);
  }
}

// Small whole numbers, so that both sides are exact.
TEST_CASE("Selecting and adding are adjoint") {
  const Tensor x = arange(0, 24, 1, float64).reshape({2, 4, 3});
  const Tensor list = tensor({3, 0, 3, 1, 2});
  const Tensor g = arange(0, 30, 1, float64).reshape({2, 5, 3});
  CHECK(sum(index_select(x, 1, list) * g).item() == sum(x * index_add(g, 1, list, 4)).item());
  const Tensor each = tensor({{{3, 0, 1}}, {{2, 2, 0}}});
  const Tensor h = arange(0, 6, 1, float64).reshape({2, 1, 3});
  CHECK(sum(gather(x, 1, each) * h).item() == sum(x * scatter_add(h, 1, each, 4)).item());
}

TEST_CASE("Scattering gives the same bits for any number of threads") {
  const int before = num_threads();
  const Tensor index = tensor({0, 1, 0, 0, 1, 1, 0});
  const Tensor source = linspace(0, 1, 7 * 40000).reshape({7, 40000});
  set_num_threads(1);
  const auto one = index_add(source, 0, index, 2).to_vector<float>();
  set_num_threads(4);
  const auto four = index_add(source, 0, index, 2).to_vector<float>();
  set_num_threads(before);
  CHECK(one == four);
}

TEST_CASE("Changing the index tensor afterwards does not reach the recorded op") {
  Tensor x = tensor({1., 2., 3.}).set_stop_gradient(false);
  Tensor index = tensor({0, 2});
  const Tensor y = index_select(x, 0, index);
  index.fill(1);
  y.backward(ones({2}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 0, 1});
}

TEST_CASE("one_hot puts a one at each index") {
  CHECK(one_hot(tensor({1, 2}), 3).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 0, 0, 0, 1});
  CHECK(one_hot(full({}, 2, int64), 3, int64).shape() == Shape(3));
}

TEST_CASE("Indices and shapes that do not fit are refused") {
  const Tensor x = ones({2, 3});
  CHECK_THROWS_MATCHES(index_select(x, 0, tensor({0, 2})), ShapeError,
                       MessageContains("index_select", "-2 <= index < 2", "got 2"));
  CHECK_THROWS_MATCHES(index_select(x, 2, tensor({0})), ShapeError, MessageContains("index_select", "2"));
  CHECK_THROWS_MATCHES(index_select(x, 0, tensor({0.})), DtypeError, MessageContains("index", "int64", "float32"));
  CHECK_THROWS_MATCHES(index_select(x, 0, tensor({{0}})), ShapeError, MessageContains("rank 1", "gather"));
  CHECK_THROWS_MATCHES(index_add(x, 0, tensor({0}), 2), ShapeError, MessageContains("index_add", "2 indices", "got 1"));
  CHECK_THROWS_MATCHES(gather(x, 1, tensor({{0}})), ShapeError, MessageContains("gather", "[2, 3]", "[1, 1]"));
  CHECK_THROWS_MATCHES(scatter_add(x, 1, tensor({{0}}), 3), ShapeError,
                       MessageContains("scatter_add", "[2, 3]", "[1, 1]"));
  CHECK_THROWS_MATCHES(one_hot(tensor({3}), 3), ShapeError, MessageContains("one_hot", "got 3"));
}

TEST_CASE("index_select and gather read an expanded view where it lies") {
  const std::int64_t large = std::int64_t{1} << 40;
  const Tensor x = expand(tensor({{1.}, {2.}}, float64), {2, large});
  CHECK(index_select(x, 1, tensor({large - 1, std::int64_t{0}, std::int64_t{-3}})).to_vector<double>() ==
        std::vector<double>{1, 1, 1, 2, 2, 2});
  CHECK(gather(x, 1, tensor({{large - 1}, {std::int64_t{5}}})).to_vector<double>() == std::vector<double>{1, 2});
  CHECK_THROWS_AS(index_select(x, 1, tensor({large})), ShapeError);
  const Tensor rows = expand(tensor({{1., 2.}}, float64), {large, 2});
  CHECK(index_select(rows, 0, tensor({3, -1})).to_vector<double>() == std::vector<double>{1, 2, 1, 2});
  CHECK(gather(rows, 0, tensor({{3, -1}, {0, 0}})).to_vector<double>() == std::vector<double>{1, 2, 1, 2});
}

TEST_CASE("an index out of range is shown with its place, and with what there is to count") {
  const Tensor index = tensor({{0, 1}, {-4, 2}});
  CHECK_THROWS_MATCHES(one_hot(index, 3), ShapeError,
                       MessageContains("one_hot: ", "index [2, 2], at [1, 0]", "0 <= index < 3, got -4"));
  CHECK_THROWS_MATCHES(gather(ones({2, 2}), 1, index), ShapeError, MessageContains("gather: ", "at [1, 0]", "got -4"));
  CHECK_THROWS_MATCHES(one_hot(tensor({2}), 0), ShapeError,
                       MessageContains("at [0]", "extent 0, got 2", "extent of at least 3"));
  CHECK_THROWS_MATCHES(index_add(ones({1, 2}), 0, tensor({-1}), 0), ShapeError,
                       MessageContains("index_add: ", "extent 0, got -1", "extent of at least 1"));
}

TEST_CASE("ops on indices name the operand that is undefined") {
  const Tensor none, x = ones({2}), index = tensor({0, 1});
  CHECK_THROWS_MATCHES(index_select(none, 0, index), InvalidArgument,
                       MessageContains("index_select: x was used before"));
  CHECK_THROWS_MATCHES(index_add(x, 0, none, 2), InvalidArgument, MessageContains("index_add: index was used before"));
  CHECK_THROWS_MATCHES(gather(x, 0, none), InvalidArgument, MessageContains("gather: index was used before"));
  CHECK_THROWS_MATCHES(scatter_add(none, 0, index, 2), InvalidArgument,
                       MessageContains("scatter_add: source was used before"));
  CHECK_THROWS_MATCHES(one_hot(none, 2), InvalidArgument, MessageContains("one_hot: index was used before"));
}

}  // namespace dygrad::testing
