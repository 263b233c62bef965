#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/graph.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/base/parameter.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("a parameter is a leaf that wants its gradient", "[smoke]") {
  const Parameter p(tensor({1., 2.}));
  CHECK(p.trainable());
  CHECK(p.is_leaf());
  (p * p).backward();
  CHECK(p.grad().to_vector<float>() == std::vector<float>{2, 4});
}

TEST_CASE("copies of a parameter are the same parameter") {
  Parameter a(ones({2}));
  Parameter b = a;
  b.set_learning_rate(0.5);
  b.set_trainable(false);
  CHECK(a.is_same(b));
  CHECK(a.learning_rate() == 0.5);
  CHECK(!a.trainable());
  CHECK(a.stop_gradient());
}

TEST_CASE("freezing a parameter prunes its gradient, and thawing brings it back") {
  Parameter p(ones({2}));
  p.set_trainable(false);
  CHECK((p * p).stop_gradient());
  p.set_trainable(true);
  (p * p).backward();
  CHECK(p.grad().defined());
}

TEST_CASE("graph dumps show a parameter's name") {
  const UniqueNameGuard guard;
  const Parameter p(ones({2}), {.name = "gain"});
  CHECK_THAT(graph_text(p * p), ContainsSubstring("gain"));
}

TEST_CASE("a parameter must be floating-point and must exist to have attributes") {
  CHECK_THROWS_MATCHES(Parameter(zeros({2}, int64)), DtypeError, MessageContains("Parameter", "got int64"));
  CHECK_THROWS_AS(Parameter().learning_rate(), InvalidArgument);
  CHECK(!Parameter().trainable());
}

TEST_CASE("attributes take all forms") {
  const UniqueNameGuard guard;
  const auto with = [](ParamAttrLike weight, ParamAttrLike bias = {}) {
    return std::make_unique<Linear>(Linear::Options{
        .input_dim = 2, .output_dim = 2, .param_attr = std::move(weight), .bias_attr = std::move(bias)});
  };
  CHECK(with(true)->weight.trainable());
  CHECK(with(std::nullopt)->bias.defined());
  CHECK(with("")->weight.name() == "linear_2.w_0");
  CHECK(with("name")->weight.name() == "name");
  CHECK(!with({}, false)->bias.defined());
  CHECK(with(Constant{.value = 3})->weight.at({0, 0}) == 3);
  CHECK(with([](Tensor& w) { w.fill(5); })->weight.at({1, 1}) == 5);
  CHECK(with(L2Decay{0.25})->weight.regularizer().coefficient() == 0.25);
  const auto full = with(ParamAttr{.name = "all",
                                   .initializer = Constant{.value = 2},
                                   .learning_rate = 0.1,
                                   .regularizer = L1Decay{0.5},
                                   .trainable = false,
                                   .do_model_average = false,
                                   .need_clip = false});
  const Parameter& w = full->weight;
  CHECK(w.name() == "all");
  CHECK(w.at({0, 1}) == 2);
  CHECK(w.learning_rate() == 0.1);
  CHECK(w.regularizer().kind() == Regularizer::Kind::l1);
  CHECK(!w.trainable());
  CHECK(!w.do_model_average());
  CHECK(!w.need_clip());
  CHECK_THROWS_MATCHES(with(false), InvalidArgument,
                       MessageContains("Linear", "param_attr must not be false", "only bias_attr"));
}

TEST_CASE("elements of a parameter each have a place in memory") {
  const Tensor repeated = ones({1}).expand({3});
  CHECK_THROWS_MATCHES(Parameter(repeated), InvalidArgument,
                       MessageContains("Parameter", "one place", "strides [0]", "clone"));
  const UniqueNameGuard guard;
  CHECK_THROWS_AS(Parameter(repeated, {.name = "taken?"}), InvalidArgument);
  CHECK(Parameter(repeated.clone(), {.name = "taken?"}).name() == "taken?");
  CHECK_NOTHROW(Parameter(ones({1, 3}).expand({1, 3})));
  CHECK_NOTHROW(Parameter(ones({4, 4}).slice(1, 0, 4, 2)));
}

namespace {
struct Product {
  static constexpr std::string_view name = "product";
  Tensor forward(const Tensor& a, const Tensor& b) const { return a * b; }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const { return {g * saved[1], g * saved[0]}; }
};
}  // namespace

TEST_CASE("custom ops take parameters, and grad takes all parameters of a model") {
  Linear model({.input_dim = 2, .output_dim = 3});
  const Tensor loss = apply(Product{}, sum(model(ones({1, 2}))), Parameter(tensor(2.))).sum();
  const std::vector<Tensor> g = grad({loss}, model.parameters());
  REQUIRE(g.size() == 2);
  CHECK(g[0].to_vector<float>() == std::vector<float>(6, 2));
  CHECK(g[1].to_vector<float>() == std::vector<float>(3, 2));
}
