#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/activate.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using Kind = FusedActivation::Kind;

TEST_CASE("fused activations change numbers where they lie") {
  const auto apply = [](const FusedActivation& activation) {
    std::vector<double> y{-2, 0, 3, 99};
    kernel::activate(activation, y.data(), 3);
    const Tensor t = tensor({{-2., 0.}, {3., 3.}}, float64);
    kernel::activate(activation, t);
    CHECK(t.to_vector<double>() == std::vector<double>{y[0], y[1], y[2], y[2]});
    return y;
  };
  CHECK(apply({}) == std::vector<double>{-2, 0, 3, 99});
  CHECK(apply({Kind::relu}) == std::vector<double>{0, 0, 3, 99});
  CHECK(apply({Kind::leaky_relu, 0.25}) == std::vector<double>{-0.5, 0, 3, 99});
  CHECK(apply({Kind::sigmoid})[1] == 0.5);
  CHECK(apply({Kind::tanh})[1] == 0);
}
