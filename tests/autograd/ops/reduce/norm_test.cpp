#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor images() {
  std::vector<double> values;
  for (int i = 0; i < 16; ++i) values.push_back(std::pow(i, 1.5) / 8);
  return from_vector(values, {2, 2, 2, 2});
}
Tensor scale() { return tensor({1.5, -.5}, float64); }
Tensor shift() { return tensor({.25, 1.}, float64); }

/// All golden numbers are sums of at most 8 terms with a few roundings each, relative to the largest of them.
double bound(double largest) { return 256 * kEpsilon64 * largest; }
}  // namespace

// Values far from 0, exact in the dtype, whose mean is not: against the same values near 0, where nothing is rounded.
TEST_CASE("batch_norm and its gradients are right where the mean is much larger than the deviation") {
  const Tensor near = tensor({{-1.5, 1.}, {-.5, 0.}, {0., 2.}, {.5, -3.}, {.5, 1.}, {2., 0.}, {3.5, 1.}}, float64);
  const Tensor weights = tensor({{1., 2.}, {-2., 1.}, {3., 0.}, {-1., 1.}, {0., -2.}, {1., 1.}, {2., 5.}}, float64);
  const auto gradients = [&](const Tensor& x, bool recorded) {
    const Tensor at = leaf(x.clone()), a = leaf(kernel::cast(scale(), x.dtype())),
                 b = leaf(kernel::cast(shift(), x.dtype()));
    const Tensor y = batch_norm(at, a, b, 1e-5);
    auto grads = grad({(y * kernel::cast(weights, x.dtype())).sum()}, {at, a, b}, {.create_graph = recorded});
    grads.push_back(y.detach());
    return grads;
  };
  const auto exact = gradients(near, false);
  for (const DType dtype : {float32, float64}) {
    const Tensor far = kernel::cast(near + (dtype == float32 ? 0x1p21 : 0x1p50), dtype);
    for (const bool recorded : {false, true}) {
      const auto got = gradients(far, recorded);
      for (std::size_t i = 0; i < exact.size(); ++i) {
        CAPTURE(name_of(dtype), recorded, i);
        CHECK(distance(kernel::cast(got[i].detach(), float64), exact[i]) <=
              256 * (dtype == float32 ? kEpsilon32 : kEpsilon64) * 16);
      }
    }
  }
}

// Golden numbers: torch 1.13 in float64, F.batch_norm(x, None, None, scale, shift, True, 0, 1e-3) cubed and summed, its
// gradients, and the gradients of the sum of their squares.
TEST_CASE("batch_norm and its first two derivatives agree with torch") {
  for (const bool channel_last : {false, true}) {
    const Tensor x = leaf(channel_last ? channels_last(images()) : images()), a = leaf(scale()), b = leaf(shift());
    const Tensor y = batch_norm(x, a, b, 1e-3);
    CHECK(distance(y, from_vector<double>(
                          {-1.4305457565488067, -1.3244822054060779, -1.1305527315498078, -0.8794233783176477,
                           1.6151640051721436, 1.5316080265172682, 1.4392176388920874, 1.3387688454188797,
                           0.9693984434431843, 1.4331701243048705, 1.9234782268189692, 2.4389572772553163,
                           0.7332114223241363, 0.5938889100540151, 0.4490993302164874, 0.29904182140498087},
                          {2, 2, 2, 2})) <= bound(8));
    const Tensor loss = sum(y * y * y);

    const Tensor dx =
        from_vector<double>({2.5281615374945625, 1.5821551172487558, 0.0005435854742658836, -1.7630608035316966,
                             -0.09877929367565673, -0.03594678270298712, 0.023279072541612753, 0.07545675667054409,
                             -4.863931494886137, -2.9116611175914624, 0.3430946760223923, 5.084698499769322,
                             0.12043622085624149, 0.06534787463932644, -0.017840503883386524, -0.1319533444456957},
                            {2, 2, 2, 2});
    const Tensor da = tensor({26.959048180935635, -23.450168358542882}, float64),
                 db = tensor({55.48272080351076, 29.99893977215997}, float64);
    const auto fused = grad({loss}, {x, a, b}, {.retain_graph = true});
    const auto recorded = grad({loss}, {x, a, b}, {.create_graph = true});
    for (const auto& grads : {fused, recorded}) {
      CHECK(distance(grads[0], dx) <= bound(64));
      CHECK(distance(grads[1], da) <= bound(64));
      CHECK(distance(grads[2], db) <= bound(64));
    }
    CHECK(fused[0].is_contiguous(channel_last ? MemoryFormat::channels_last : MemoryFormat::row_major));

    Tensor penalty = sum(recorded[0] * recorded[0]) + sum(recorded[1] * recorded[1]) + sum(recorded[2] * recorded[2]);
    const auto second = grad({penalty}, {x, a, b});
    CHECK(distance(second[0],
                   from_vector<double>({266.22960932466, 178.33523231171972, 27.187372812922646, -148.81987742933077,
                                        -27.804552313846084, -10.103991754182033, 6.574707725209986, 21.26220028824784,
                                        -563.6530734267217, -363.88473788085616, 8.668913236474365, 595.936561051132,
                                        33.86436360412676, 18.35892792792685, -5.038159854237136, -37.11349562324617},
                                       {2, 2, 2, 2})) <= bound(8192));
    CHECK(distance(second[1], tensor({9558.695242995702, -3588.8049535091936}, float64)) <= bound(8192));
    CHECK(distance(second[2], tensor({5212.446057936309, 4005.307399360721}, float64)) <= bound(8192));
  }
}

TEST_CASE("batch_norm reports the statistics of its batch, outside of any graph") {
  const Tensor x = leaf(images());
  BatchStatistics statistics;
  (void)batch_norm(x, {}, {}, 1e-5, &statistics);
  CHECK(distance(statistics.mean, mean(x.detach(), {0, 2, 3})) <= bound(8));
  CHECK(distance(statistics.variance, var(x.detach(), {0, 2, 3}, false, 0)) <= bound(64));
  CHECK(statistics.mean.stop_gradient());
  CHECK(statistics.mean.shape() == Shape(2));
}

TEST_CASE("batch_norm takes rows and images of any strides, and keeps their memory order") {
  const Tensor x = spread_values({4, 3, 5, 2}, 1), a = spread_values(Shape(3), 2), b = spread_values(Shape(3), 3);
  const Tensor y = batch_norm(x, a, b);
  // Means and variances of 40 numbers below 1, added in another order.
  CHECK(distance(batch_norm(channels_last(x), a, b), y) <= bound(4));
  CHECK(distance(batch_norm(strided(x), strided(a), strided(b)), y) <= bound(4));
  CHECK(batch_norm(channels_last(x), a, b).is_contiguous(MemoryFormat::channels_last));
  const Tensor rows = spread_values({7, 3}, 4);
  CHECK(distance(batch_norm(rows, a, b), batch_norm(rows.reshape({7, 3, 1, 1}), a, b).reshape({7, 3})) <= bound(4));
  CHECK(distance(batch_norm(x.to(float32), a.to(float32), b.to(float32)), y) <= 256 * kEpsilon32);
}

TEST_CASE("batch_norm of one pixel gives the shift, and of nothing nothing") {
  CHECK(same(batch_norm(full({1, 2, 1, 1}, 7, float64), scale(), shift()), shift().reshape({1, 2, 1, 1})));
  CHECK(batch_norm(zeros({0, 2, 3, 3}, float64), scale(), shift()).shape() == Shape(0, 2, 3, 3));
}

TEST_CASE("batch_norm keeps its digits far from zero") {
  const Tensor x = tensor({{1e6}, {1e6 + 1}, {1e6 + 2}}, float32);
  CHECK(distance(batch_norm(x, {}, {}, 0), tensor({{-std::sqrt(1.5)}, {0.}, {std::sqrt(1.5)}}, float32)) <=
        4 * kEpsilon32);
}

TEST_CASE("batch_norm has right derivatives to second order, with and without scale and shift") {
  const auto squared = [](const Tensor& y) { return y * y; };
  const Tensor inputs[] = {spread_values({3, 2, 2, 1}, 1), spread_values(Shape(2), 2), spread_values(Shape(2), 3)};
  CHECK_THAT(check_grads([&](std::span<const Tensor> in) { return squared(batch_norm(in[0], in[1], in[2], 1e-2)); },
                         inputs, {.order = 2}),
             GradsAgree());
  CHECK_THAT(check_grads(
                 [&](const Tensor& x) {
                   return batch_norm(x, {}, {}, 1e-2) * spread_values({3, 2}, 5);
                 },
                 spread_values({3, 2}, 1), {.order = 2}),
             GradsAgree());
  const Tensor m = spread_values(Shape(2), 4), v = spread_values(Shape(2), 5) + 2.;
  CHECK_THAT(
      check_grads([&](std::span<const Tensor> in) { return squared(batch_norm_inference(in[0], m, v, in[1], in[2])); },
                  inputs, {.order = 2}),
      GradsAgree());
}

TEST_CASE("normalisations that end in an activation are one op, with the values and derivatives of two") {
  const auto squared = [](const Tensor& y) { return y * y; };
  const Tensor inputs[] = {spread_values({3, 2, 2, 1}, 1), spread_values(Shape(2), 2), spread_values(Shape(2), 3)};
  const Tensor m = spread_values(Shape(2), 4), v = spread_values(Shape(2), 5) + 2.;
  for (const std::string_view name : {"relu", "leaky_relu", "sigmoid", "tanh"}) {
    INFO(name);
    const FusedActivation fused = fused_activation(name);
    CHECK_THAT(
        check_grads(
            [&](std::span<const Tensor> in) { return squared(batch_norm(in[0], in[1], in[2], 1e-2, nullptr, fused)); },
            inputs, {.order = 2}),
        GradsAgree());
    CHECK_THAT(check_grads(
                   [&](std::span<const Tensor> in) {
                     return squared(batch_norm_inference(in[0], m, v, in[1], in[2], 1e-2, fused));
                   },
                   inputs, {.order = 2}),
               GradsAgree());
    const Tensor x = leaf(images());
    const Tensor one = batch_norm(x, scale(), shift(), 1e-2, nullptr, fused);
    const Tensor two = activation(name)(batch_norm(x, scale(), shift(), 1e-2));
    CHECK(same(one, two));
    CHECK(gradient_node(one)->inputs()[0].get() == gradient_node(x));
    CHECK(same(grad({sum(one * one)}, {x})[0], grad({sum(two * two)}, {x})[0]));
  }
  CHECK_THROWS_MATCHES(batch_norm(images(), {}, {}, 1e-2, nullptr, {FusedActivation::Kind::leaky_relu, -1}),
                       InvalidArgument, MessageContains("batch_norm", "slope is negative"));
}

TEST_CASE("batch_norm_inference normalises with the given numbers") {
  const Tensor x = images(), m = tensor({1., 2.}, float64), v = tensor({4., .25}, float64);
  const auto grid = [](const Tensor& t) { return t.reshape({1, 2, 1, 1}); };
  const Tensor want = (x - grid(m)) / sqrt(grid(v)) * grid(scale()) + grid(shift());
  CHECK(distance(batch_norm_inference(x, m, v, scale(), shift(), 0), want) <= bound(16));
  CHECK(distance(batch_norm_inference(channels_last(x), m, v, scale(), shift(), 0), want) <= bound(16));
  CHECK(distance(batch_norm_inference(x, m, v, {}, {}, 0), (x - grid(m)) / sqrt(grid(v))) <= bound(16));
}

TEST_CASE("batch_norm refuses what does not fit") {
  const Tensor x = zeros({2, 3, 4, 4}), c = ones({3});
  CHECK_THROWS_MATCHES(batch_norm(zeros({3}), c, c), ShapeError,
                       MessageContains("batch_norm", "[N, C] or [N, C, H, W]", "got [3]"));
  CHECK_THROWS_MATCHES(batch_norm(x, ones({4}), c), ShapeError,
                       MessageContains("scale does not fit", "scale [3]", "got [4]"));
  CHECK_THROWS_MATCHES(batch_norm(x, c, ones({3}, float64)), DtypeError,
                       MessageContains("shift of dtype float32", "got float64"));
  CHECK_THROWS_MATCHES(batch_norm_inference(x, ones({2}), c, c, c), ShapeError, MessageContains("mean does not fit"));
  CHECK_THROWS_MATCHES(batch_norm(x, c, c, -1), InvalidArgument, MessageContains("epsilon", "got -1"));
  CHECK_THROWS_AS(batch_norm(zeros({2, 3}, int64), {}, {}), DtypeError);
}

TEST_CASE("batch_norm's gradients do not ask for strides of extents of 1") {
  for (const Shape& shape : {Shape{3, 2, 1, 1}, {3, 1, 2, 2}, {1, 2, 2, 3}, {4, 2, 3, 1}, {4, 1, 1, 3}, {3, 1}}) {
    for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
      CAPTURE(shape[1], shape.back());
      const Tensor values = spread_values(shape, 5);
      const Tensor dense = kernel::clone(values, format);
      Strides odd = dense.strides(), other = odd;
      for (int i = 0; i < shape.rank(); ++i) {
        if (shape[i] == 1) odd[i] = 1000 + i, other[i] = -7 * i;
      }
      Tensor x = view::strided(dense, shape, odd, 0), expected = leaf(values);
      x.set_stop_gradient(false);
      const Tensor g = spread_values(shape, 6);
      batch_norm(x, {}, {}).backward(view::strided(kernel::clone(g, format), shape, other, 0));
      batch_norm(expected, {}, {}).backward(g);
      // Sums of at most 12 terms in another order, divided by a deviation that is not small.
      CHECK(distance(x.grad(), expected.grad()) <= 512 * kEpsilon64);
    }
  }
}

TEST_CASE("batch_norm of nothing has gradients of zero for scale and shift, recorded or not") {
  for (const bool recorded : {false, true}) {
    Tensor x = leaf(zeros({0, 2, 3, 1}, float64)), a = leaf(scale()), b = leaf(shift());
    const std::vector<Tensor> grads = grad({batch_norm(x, a, b)}, {a, b}, {.create_graph = recorded});
    CHECK(same(grads[0], zeros({2}, float64)));
    CHECK(same(grads[1], zeros({2}, float64)));
  }
}

TEST_CASE("batch_norm_inference differentiates at the numbers it was given, whatever becomes of them") {
  const Tensor x = tensor({{1., 2.}, {3., 5.}}, float64), a = leaf(scale()), b = leaf(shift());
  Tensor m = zeros({2}, float64), v = ones({2}, float64);
  const Tensor y = batch_norm_inference(x, m, v, a, b, 0);
  m.fill(100);
  v.fill(100);
  y.sum().backward();
  CHECK(a.grad().to_vector<double>() == std::vector<double>{4, 7});
  CHECK(b.grad().to_vector<double>() == std::vector<double>{2, 2});
}

TEST_CASE("batch_norm refuses numbers that are not finite in the dtype, or vanish in it") {
  const Tensor x = ones({2, 3}), c = ones({3});
  for (const double epsilon : {kNaN, kInfinity, 1e39, 1e-46}) {
    CAPTURE(epsilon);
    CHECK_THROWS_MATCHES(batch_norm(x, c, c, epsilon), InvalidArgument,
                         MessageContains("batch_norm:", "epsilon", "fix:"));
    CHECK_THROWS_MATCHES(batch_norm_inference(x, c, c, c, c, epsilon), InvalidArgument,
                         MessageContains("batch_norm_inference:", "epsilon", "fix:"));
  }
  for (const double alpha : {kNaN, kInfinity, 1e39, -1.}) {
    CHECK_THROWS_MATCHES(batch_norm(x, c, c, 1e-5, nullptr, {FusedActivation::Kind::leaky_relu, alpha}),
                         InvalidArgument, MessageContains("batch_norm:", "activation", "alpha"));
  }
}

// With x times a power of two, and epsilon times its square, y is the same and gradients are divided by that power.
TEST_CASE("batch_norm is right where squares of distances overflow or vanish, to second order") {
  for (const DType dtype : {float32, float64}) {
    const Tensor unit = tensor({{-1.5, 1.}, {0., 5.}, {1.5, -2.}, {3., 0.}, {-.25, 8.}}, dtype);
    const Tensor weights = tensor({{1., 2.}, {2., -1.}, {5., 0.}, {-3., 1.}, {.5, 1.}}, dtype);
    const auto results = [&](const Tensor& x, double epsilon, double factor, bool recorded) {
      const Tensor at = leaf(x.clone()), a = leaf(kernel::cast(scale(), dtype)), b = leaf(kernel::cast(shift(), dtype));
      const Tensor y = batch_norm(at, a, b, epsilon);
      std::vector<Tensor> all = grad({(y * weights).sum()}, {at, a, b}, {.create_graph = recorded});
      all[0] = all[0] * factor;
      if (recorded) {
        for (const Tensor& second : grad({(all[0] * weights).sum()}, {at, a})) all.push_back(second);
        all[3] = all[3] * factor;
      }
      all.push_back(y);
      return all;
    };
    const int largest = dtype == float32 ? 66 : 530;  // twice as much would overflow
    for (const int exponent : {largest, -largest, largest / 2 + 1, -largest * 3 / 4}) {
      for (const double epsilon : {0., .5}) {
        for (const bool recorded : {false, true}) {
          CAPTURE(name_of(dtype), exponent, epsilon, recorded);
          const double factor = std::ldexp(1., exponent), scaled = std::ldexp(epsilon, 2 * exponent);
          if (scaled > (dtype == float32 ? 1e38 : 1e308) ||
              (epsilon > 0 && scaled < (dtype == float32 ? 1e-37 : 1e-307)))
            continue;
          const auto want = results(unit, epsilon, 1, recorded), got = results(unit * factor, scaled, factor, recorded);
          const double rounding = 1024 * (dtype == float32 ? kEpsilon32 : kEpsilon64);
          for (std::size_t i = 0; i < want.size(); ++i) {
            CAPTURE(i);
            CHECK(distance(got[i], want[i]) <= rounding);
          }
        }
      }
    }
  }
}

TEST_CASE("batch_norm is right where sums of its gradient, or its scale over the deviation, leave the range") {
  const Tensor x = tensor({{-1e37F}, {0.F}, {1e37F}, {2e37F}}).set_stop_gradient(false);
  const Tensor g = tensor({{1e2F}, {-3e2F}, {5e2F}, {1e2F}}), unit = tensor({{-1.}, {0.}, {1.}, {2.}}, float64);
  const auto slope = [](const Tensor& t, const Tensor& of, double scale) {
    return grad({batch_norm(t, full({1}, scale, t.dtype()), {}, 0)}, {t}, {.grad_outputs = {of}})[0];
  };
  const Tensor of_unit = slope(unit.detach().set_stop_gradient(false), g.to(float64), 1), at = slope(x, g, 1);
  for (std::int64_t i = 0; i < 4; ++i) CHECK(at.at({i, 0}) * 1e37 == Approx(of_unit.at({i, 0})).epsilon(1e-4));
  const Tensor y = batch_norm(x, full({1}, 1e-10), {}, 0), of_one = batch_norm(unit, {}, {}, 0);
  for (std::int64_t i = 0; i < 4; ++i) CHECK(y.at({i, 0}) == Approx(1e-10 * of_one.at({i, 0})).epsilon(1e-5));
}

TEST_CASE("a channel of ordinary numbers keeps its bits beside one out of range") {
  const Tensor x = tensor({{-1.5, -1.}, {0., .5}, {1.5, 2.}});
  const Tensor factors = tensor({1e20, 1.});
  const auto second = [](const Tensor& t) { return t.slice(1, 1, 2); };
  CHECK(same(second(batch_norm(x * factors, {}, {})), second(batch_norm(x, {}, {}))));
  CHECK(batch_norm(x * factors, {}, {}).at({2, 0}) > 1.2);
  CHECK(std::isnan(batch_norm(tensor({{3.}, {3.}}), {}, {}, 0).at({0, 0})));  // constant, as documented
}
