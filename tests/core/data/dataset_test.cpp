#include <dygrad/core/data/dataset.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

/// Sample i is ({i, i + 1}, i); sample `odd_one` is different.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t size, std::int64_t odd_one = -1, Sample other = {})
      : size_(size), odd_one_(odd_one), other_(std::move(other)) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t i) const override {
    if (i == odd_one_) return other_;
    return {tensor({i, i + 1}), tensor(i)};
  }

 private:
  std::int64_t size_, odd_one_;
  Sample other_;
};

std::vector<std::int64_t> values(const Tensor& x) { return x.to_vector<std::int64_t>(); }

}  // namespace

TEST_CASE("a dataset of one's own is stacked into batches") {
  const Numbers dataset(5);
  const Sample batch = dataset.batch(std::vector<std::int64_t>{3, 0});
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].shape() == Shape{2, 2});
  CHECK(values(batch[0]) == std::vector<std::int64_t>{3, 4, 0, 1});
  CHECK(batch[1].shape() == Shape{2});
  CHECK(values(batch[1]) == std::vector<std::int64_t>{3, 0});
}

TEST_CASE("samples that do not fit each other are refused") {
  const std::vector<std::int64_t> both{0, 1};
  CHECK_THROWS_MATCHES(Numbers(2, 1, {tensor({1})}).batch(both), ShapeError,
                       MessageContains("sample 1", "expected 2, got 1"));
  CHECK_THROWS_MATCHES(Numbers(2, 1, {tensor({1}), tensor(1)}).batch(both), ShapeError,
                       MessageContains("expected [2], got [1]"));
  CHECK_THROWS_MATCHES(Numbers(2, 1, {tensor({1., 2.}), tensor(1)}).batch(both), DtypeError,
                       MessageContains("expected int64, got float32", "in the dataset:"));
  CHECK_THROWS_MATCHES(Numbers(2, 1, {tensor({1, 2}), Tensor()}).batch(both), InvalidArgument,
                       MessageContains("dataset: a sample has an undefined tensor", "sample 1", "position 1", "fix"));
  CHECK_THROWS_MATCHES(Numbers(2, 0, {Tensor(), tensor(1)}).batch(both), InvalidArgument,
                       MessageContains("sample 0", "position 0"));
}

TEST_CASE("a tensor dataset gathers rows of all its tensors") {
  const Tensor images = view::reshape(arange(24), {4, 3, 2}).value();
  const TensorDataset dataset({images, tensor({0., 1., 2., 3.})});
  CHECK(dataset.size() == 4);
  const Sample one = dataset.get(2);
  CHECK(values(one[0]) == std::vector<std::int64_t>{12, 13, 14, 15, 16, 17});
  CHECK(one[1].item() == 2);
  const Sample batch = dataset.batch(std::vector<std::int64_t>{3, 3, 0});
  CHECK(batch[0].shape() == Shape{3, 3, 2});
  CHECK(values(view::select(batch[0], 0, 2)) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  CHECK(batch[1].to_vector<float>() == std::vector<float>{3, 3, 0});
  CHECK(dataset.batch({})[0].shape() == Shape{0, 3, 2});
}

TEST_CASE("a tensor dataset takes views and rows without elements") {
  const TensorDataset turned({view::transpose(tensor({{1, 2}, {3, 4}}), 0, 1)});
  CHECK(values(turned.batch(std::vector<std::int64_t>{1})[0]) == std::vector<std::int64_t>{2, 4});
  const TensorDataset part({view::slice(arange(10), 0, 4, 8)});
  CHECK(values(part.batch(std::vector<std::int64_t>{0, 3})[0]) == std::vector<std::int64_t>{4, 7});
  CHECK(TensorDataset({zeros({3, 0})}).batch(std::vector<std::int64_t>{2})[0].shape() == Shape{1, 0});
  CHECK(TensorDataset({zeros({0, 3})}).size() == 0);
}

TEST_CASE("tensors that make no dataset are refused") {
  CHECK_THROWS_AS(TensorDataset({}), InvalidArgument);
  CHECK_THROWS_MATCHES(TensorDataset({zeros({2}), zeros({3, 2})}), ShapeError, MessageContains("2 rows", "[3, 2]"));
  CHECK_THROWS_AS(TensorDataset({tensor(1)}), ShapeError);
  CHECK_THROWS_AS(TensorDataset({Tensor()}), InvalidArgument);
  const TensorDataset dataset({zeros({2})});
  CHECK_THROWS_MATCHES(dataset.get(2), InvalidArgument, MessageContains("[0, 2)", "got 2"));
  CHECK_THROWS_AS(dataset.batch(std::vector<std::int64_t>{0, -1}), InvalidArgument);
}
