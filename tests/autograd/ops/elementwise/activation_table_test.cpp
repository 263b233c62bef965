#include <algorithm>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

TEST_CASE("Every listed activation can be called by its name") {
  const auto names = activation_names();
  CHECK(names.size() == 44);
  CHECK(std::ranges::is_sorted(names));
  const Tensor x = full({2, 3}, 0.5, float64);
  for (const std::string_view name : names) {
    CAPTURE(name);
    REQUIRE(activation(name) != nullptr);
    CHECK(activation(name)(x).shape() == x.shape());
  }
}

TEST_CASE("By name, activations have their default attributes") {
  const Tensor x = tensor({-1., 0.5, 3.}, float64);
  const auto values = [&](std::string_view name) { return activation(name)(x).to_vector<double>(); };
  CHECK(values("relu") == std::vector<double>{0, 0.5, 3});
  CHECK(values("leaky_relu") == std::vector<double>{-0.02, 0.5, 3});
  CHECK(values("pow") == std::vector<double>{-1, 0.5, 3});
}

TEST_CASE("No activation is a null function") {
  for (const std::string_view name : {"", "identity", "linear", "none"}) CHECK(activation(name) == nullptr);
}

TEST_CASE("An unknown activation's error lists the known ones and the nearest") {
  CHECK_THROWS_MATCHES(activation("rellu"), InvalidArgument,
                       MessageContains("\"rellu\"", "sigmoid", "did you mean \"relu\"?"));
  CHECK_THROWS_MATCHES(activation("Sigmoid"), InvalidArgument, MessageContains("did you mean \"sigmoid\"?"));
  for (const auto& [given, meant] :
       {std::pair{"Relu", "relu"}, std::pair{"ReLU", "relu"}, std::pair{"GELU", "gelu"}, std::pair{"SiLU", "silu"},
        std::pair{"LeakyReLU", "leaky_relu"}, std::pair{"ELU", "elu"}, std::pair{"HardSwish", "hard_swish"}}) {
    CHECK_THROWS_MATCHES(activation(given), InvalidArgument,
                         MessageContains(std::string("did you mean \"") + meant + "\"?"));
  }
  CHECK_THROWS_MATCHES(activation("quantum"), InvalidArgument, !MessageContains("did you mean"));
}

TEST_CASE("prelu and maxout say why a name is not enough") {
  CHECK_THROWS_MATCHES(activation("prelu"), InvalidArgument,
                       MessageContains("prelu", "second input", "fix: use the layer PRelu"));
  CHECK_THROWS_MATCHES(activation("maxout"), InvalidArgument, MessageContains("maxout", "groups", "fix"));
}

}  // namespace dygrad::testing
