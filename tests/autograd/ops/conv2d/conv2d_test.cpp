#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// [1, 1, rows, columns].
Tensor image(const NestedList& rows) {
  const Tensor plane = tensor(rows, float64);
  return plane.reshape({1, 1, plane.dim(0), plane.dim(1)});
}

Tensor x2() { return image({{1, 2}, {3, 4}}); }
Tensor w3() { return image({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}); }

/// The definition as nested loops: y[n, o, h*s + i*d - p] += x[n, c, h] * w[c, o, i] along both axes, then the bias.
Tensor scatter(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2DParams& p) {
  const std::int64_t in_group = x.dim(1) / p.groups, out_group = w.dim(1);
  Tensor y = zeros({x.dim(0), out_group * p.groups, p.output_extent[0], p.output_extent[1]}, float64);
  const auto at = [](const Tensor& t, std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) -> double& {
    return t.mutable_data<double>()[((i * t.dim(1) + j) * t.dim(2) + k) * t.dim(3) + l];
  };
  for (std::int64_t n = 0; n < x.dim(0); ++n)
    for (std::int64_t c = 0; c < x.dim(1); ++c)
      for (std::int64_t o = 0; o < out_group; ++o)
        for (std::int64_t h = 0; h < x.dim(2); ++h)
          for (std::int64_t v = 0; v < x.dim(3); ++v)
            for (std::int64_t i = 0; i < w.dim(2); ++i)
              for (std::int64_t j = 0; j < w.dim(3); ++j) {
                const std::int64_t row = h * p.stride[0] + i * p.dilation[0] - p.padding[0];
                const std::int64_t column = v * p.stride[1] + j * p.dilation[1] - p.padding[1];
                if (row < 0 || row >= y.dim(2) || column < 0 || column >= y.dim(3)) continue;
                at(y, n, c / in_group * out_group + o, row, column) += at(x, n, c, h, v) * at(w, c, o, i, j);
              }
  return b.defined() ? kernel::contiguous(y + b.reshape({1, -1, 1, 1})) : y;
}

/// Derivatives of y(x, w, b), with y squared so that second derivatives are not constant.
template <class F>
CheckGradsReport check_all(const F& f, const Tensor& x, const Tensor& w, const Tensor& b, int order = 2) {
  const Tensor inputs[] = {x, w, b};
  const auto squared = [&f](std::span<const Tensor> in) {
    const Tensor y = f(in[0], in[1], in[2]);
    return y * y;
  };
  return check_grads(squared, inputs, {.order = order, .full = false, .non_contiguous = false});
}

struct Case {
  const char* what;
  Shape x, w;
  Conv2DTransposeOptions options;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"plain", {2, 3, 5, 5}, {3, 6, 3, 3}, {}},
      {"padding", {2, 3, 5, 5}, {3, 6, 3, 3}, {.padding = 1}},
      {"groups", {2, 4, 5, 5}, {4, 3, 3, 3}, {.padding = 1, .groups = 2}},
      {"stride", {2, 3, 5, 5}, {3, 6, 3, 3}, {.stride = 2, .padding = 1}},
      {"dilation", {2, 3, 5, 5}, {3, 6, 3, 3}, {.padding = 1, .dilation = 2}},
      {"even up-sampling", {1, 2, 7, 7}, {2, 3, 5, 5}, {.stride = 2, .padding = 2, .output_size = 14}},
      {"asymmetric padding", {2, 3, 5, 5}, {3, 6, 3, 3}, {.padding = {1, 0, 1, 2}}},
      {"SAME", {2, 3, 5, 5}, {3, 6, 3, 3}, {.stride = 2, .padding = "SAME"}},
      {"VALID", {2, 3, 5, 5}, {3, 6, 3, 3}, {.stride = 2, .padding = "valid"}},
      {"output padding", {2, 3, 5, 5}, {3, 6, 3, 3}, {.stride = 2, .padding = 1, .output_padding = 1}},
      {"output padding above the stride", {1, 2, 3, 3}, {2, 2, 2, 2}, {.output_padding = {2, 1}, .dilation = 3}},
      {"stride beyond the kernel", {1, 2, 3, 4}, {2, 2, 2, 1}, {.stride = {3, 4}}},
      {"depthwise", {1, 3, 4, 4}, {3, 1, 3, 3}, {.stride = 2, .padding = 1, .groups = 3}},
      {"one pixel", {2, 3, 1, 1}, {3, 2, 4, 4}, {}},
      {"everything uneven",
       {2, 4, 3, 2},
       {4, 3, 2, 3},
       {.stride = {3, 2}, .padding = {2, 0, 1, 1}, .dilation = {2, 1}, .groups = 2, .output_size = {7, 3}}},
  };
  return list;
}

}  // namespace

TEST_CASE("transposed convolution: small examples come out as worked by hand") {
  const Tensor w2 = x2();
  const Tensor stride_2 = image({{1, 2, 2, 4}, {3, 4, 6, 8}, {3, 6, 4, 8}, {9, 12, 12, 16}});
  CHECK(same(conv2d_transpose(x2(), w2), image({{1, 4, 4}, {6, 20, 16}, {9, 24, 16}})));
  CHECK(same(conv2d_transpose(x2(), w2, {}, {.stride = 2}), stride_2));
  CHECK(same(conv2d_transpose(x2(), w2, {}, {.dilation = 2}), stride_2));
  CHECK(same(conv2d_transpose(x2(), w2, {}, {.stride = 2, .output_size = 5}), pad(stride_2, {{0, 1}, {0, 1}})));
  CHECK(same(
      conv2d_transpose(x2(), w3(), {}, {.stride = 2}),
      image({{1, 2, 5, 4, 6}, {4, 5, 14, 10, 12}, {10, 14, 36, 24, 30}, {12, 15, 34, 20, 24}, {21, 24, 55, 32, 36}})));
  CHECK(same(conv2d_transpose(x2(), w3(), {}, {.stride = 2, .padding = 1}),
             image({{5, 14, 10}, {14, 36, 24}, {15, 34, 20}})));
  CHECK(same(conv2d_transpose(x2(), w3(), {}, {.stride = 2, .padding = 1, .output_size = 4}),
             image({{5, 14, 10, 12}, {14, 36, 24, 30}, {15, 34, 20, 24}, {24, 55, 32, 36}})));
  CHECK(same(conv2d_transpose(x2(), image({{1, 2, 3}}), {}, {.stride = {2, 1}, .padding = {0, 1}}),
             image({{4, 7}, {0, 0}, {10, 17}})));
}

TEST_CASE("transposed convolution: groups and bias belong to their channels") {
  const Tensor x = tensor({1, 2, 3, 4}, float64).reshape({1, 4, 1, 1});
  const Tensor w = tensor({{1, 2}, {3, 4}, {5, 6}, {7, 8}}, float64).reshape({4, 2, 1, 1});
  const Tensor b = tensor({.5, -.5, 1., -1.}, float64);
  CHECK(same(conv2d_transpose(x, w, b, {.groups = 2}), tensor({7.5, 9.5, 44., 49.}, float64).reshape({1, 4, 1, 1})));
}

TEST_CASE("transposed convolution: a batch with channels, bias, and uneven stride, padding and dilation") {
  const Tensor x = arange(24, float64).reshape({2, 3, 2, 2});
  std::vector<double> weights;
  for (int i = 0; i < 36; ++i) weights.push_back((i % 7 - 3) / 2.);
  const Tensor y = conv2d_transpose(x, from_vector(weights, {3, 2, 2, 3}), tensor({.25, -.25}, float64),
                                    {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}});
  CHECK(y.shape() == Shape(2, 2, 2, 6));
  CHECK(same(y.select(0, 0).select(0, 0),
             tensor({{8.25, 8.75, -13.75, -15.25, -7.75, -7.75}, {3.25, 2.75, 12.25, 13.25, .25, -.75}}, float64)));
  CHECK(sum(y).item() == 13);
  CHECK(sum(y * y).item() == 10897);
}

TEST_CASE("transposed convolution: gradients come out as worked by hand") {
  const Tensor x = leaf(x2()), w = leaf(w3()), b = leaf(tensor({0.}, float64));
  const Tensor y = conv2d_transpose(x, w, b, {.stride = 2, .padding = 1});
  const auto grads = grad({y}, {x, w, b}, {.grad_outputs = {image({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}})}});
  CHECK(same(grads[0], image({{94, 106}, {106, 94}})));
  CHECK(same(grads[1], image({{20, 36, 15}, {36, 64, 26}, {10, 16, 5}})));
  CHECK(same(grads[2], tensor({45.}, float64)));

  const Tensor larger = conv2d_transpose(x, w, b, {.stride = 2, .padding = 1, .output_size = 4});
  const auto ones_grads = grad({larger}, {x, w, b});
  CHECK(same(ones_grads[0], image({{28, 39}, {33, 45}})));
  CHECK(same(ones_grads[1], image({{4, 7, 7}, {6, 10, 10}, {6, 10, 10}})));
  CHECK(same(ones_grads[2], tensor({16.}, float64)));
}

TEST_CASE("transposed convolution: second derivatives come out as worked by hand") {
  const Tensor x = leaf(x2()), w = leaf(w3()), g = leaf(image({{1, 0, 2}, {0, 1, 0}, {-1, 0, 3}}));
  const Tensor y = conv2d_transpose(x, w, {}, {.stride = 2, .padding = 1});
  const auto first = grad({y}, {x, w}, {.grad_outputs = {g}, .create_graph = true});
  CHECK(same(first[0], image({{14, 17}, {-2, 16}})));
  CHECK(same(first[1], image({{4, 0, 3}, {0, 14, 0}, {2, 0, 1}})));
  const Tensor penalty = sum(first[0] * first[0]);
  CHECK(penalty.item() == 745);
  const auto second = grad({penalty}, {w, g});
  CHECK(same(second[0], image({{32, 0, -4}, {0, 196, 0}, {34, 0, 28}})));
  CHECK(same(second[1], image({{140, 304, 170}, {216, 510, 336}, {-20, 104, 160}})));
}

TEST_CASE("transposed convolution: the usual up-sampling layers have the usual sizes") {
  const auto size = [](std::int64_t extent, std::int64_t kernel, const Conv2DTransposeOptions& options) {
    return infer_conv2d_transpose_params(options, {1, 1, extent, extent}, {1, 1, kernel, kernel}).output_extent[0];
  };
  CHECK(size(7, 4, {.stride = 2, .padding = 1}) == 14);
  CHECK(size(1, 4, {}) == 4);
  CHECK(size(7, 3, {.stride = 2, .padding = 1}) == 13);
  CHECK(size(7, 3, {.stride = 2, .padding = 1, .output_size = 14}) == 14);
  CHECK(size(7, 5, {.stride = 2, .padding = 2, .output_size = 14}) == 14);
  CHECK(size(7, 2, {.stride = 2}) == 14);
  // SAME takes its padding from the forward rule on this layer's own input.
  CHECK(size(8, 4, {.stride = 2, .padding = "SAME"}) == 16);
  CHECK(size(7, 4, {.stride = 2, .padding = "SAME"}) == 13);
  CHECK(size(7, 3, {.padding = "SAME", .dilation = 5}) == 7);  // and forces dilation to 1
}

TEST_CASE("transposed convolution: values agree with the definition, gradients with differences, to second order") {
  for (const Case& c : cases()) {
    INFO(c.what);
    const Tensor x = spread_values(c.x, 1), w = spread_values(c.w, 2);
    const Tensor b = spread_values(Shape(c.w[1] * c.options.groups), 3);
    const auto f = [&c](const Tensor& u, const Tensor& v, const Tensor& s) {
      return conv2d_transpose(u, v, s, c.options);
    };
    // At most 6 * 25 products and a bias of size 1 are summed, each rounded by half an epsilon of the partial sum.
    const double terms = static_cast<double>(c.x[1] / c.options.groups * c.w[2] * c.w[3] + 1);
    CHECK(distance(f(x, w, b), scatter(x, w, b, infer_conv2d_transpose_params(c.options, c.x, c.w))) <=
          terms * terms * kEpsilon64);
    CHECK_THAT(check_all(f, x, w, b), GradsAgree());
  }
}

TEST_CASE("transposed convolution: float32 agrees with float64") {
  for (const Case& c : cases()) {
    INFO(c.what);
    const Tensor x = leaf(spread_values(c.x, 1, float32)), w = leaf(spread_values(c.w, 2, float32));
    const Tensor b = leaf(spread_values(Shape(c.w[1] * c.options.groups), 3, float32));
    const Tensor x64 = leaf(x.to(float64)), w64 = leaf(w.to(float64)), b64 = leaf(b.to(float64));
    const Tensor y = conv2d_transpose(x, w, b, c.options), y64 = conv2d_transpose(x64, w64, b64, c.options);
    const auto grads = grad({y}, {x, w, b}), grads64 = grad({y64}, {x64, w64, b64});
    // Sums of n products of size 1 differ by at most n * n / 2 roundings.
    const auto bound = [](std::int64_t n) { return static_cast<double>(n * n) * kEpsilon32 / 2; };
    CHECK(distance(y, y64) <= bound(c.x[1] / c.options.groups * c.w[2] * c.w[3] + 1));
    CHECK(distance(grads[0], grads64[0]) <= bound(c.w[1] * c.w[2] * c.w[3]));
    CHECK(distance(grads[1], grads64[1]) <= bound(c.x[0] * c.x[2] * c.x[3]));
    CHECK(distance(grads[2], grads64[2]) == 0);  // counts pixels
  }
}

TEST_CASE("transposed convolution: NHWC is the same with other strides, and copies nothing") {
  const Tensor x = spread_values({2, 3, 4, 5}, 1), w = spread_values({3, 2, 3, 3}, 2), b = spread_values(Shape(2), 3);
  const Conv2DTransposeOptions nchw{.stride = 2, .padding = {1, 0, 2, 1}};
  const Conv2DTransposeOptions nhwc{.stride = 2, .padding = {{0, 0}, {1, 0}, {2, 1}, {0, 0}}, .data_format = "NHWC"};
  const Tensor channel_last = kernel::contiguous(x.permute({0, 2, 3, 1}));
  const Tensor y = conv2d_transpose(x, w, b, nchw);
  CHECK(distance(conv2d_transpose(channel_last, w, b, nhwc), y.permute({0, 2, 3, 1})) <= 64 * kEpsilon64);
  const auto f = [&](const Tensor& u, const Tensor& v, const Tensor& s) { return conv2d_transpose(u, v, s, nhwc); };
  CHECK_THAT(check_all(f, channel_last, w, b), GradsAgree());
}

TEST_CASE("transposed convolution: inputs of any strides give the same result") {
  const Tensor x = small_integers({2, 4, 3, 5}, 1), w = small_integers({4, 3, 3, 2}, 2),
               b = small_integers(Shape(6), 3);
  const Conv2DTransposeOptions options{.stride = {2, 1}, .padding = 1, .groups = 2};
  const Tensor y = conv2d_transpose(x, w, b, options);
  CHECK(same(conv2d_transpose(strided(x), strided(w), strided(b), options), y));
  CHECK(same(conv2d_transpose(channels_last(x), channels_last(w), b, options), y));
}

TEST_CASE("the convolution family: three adjoint ops agree exactly on small integers") {
  for (const Case& c : cases()) {
    INFO(c.what);
    const Conv2DParams p = infer_conv2d_transpose_params(c.options, c.x, c.w);
    const Tensor x = small_integers(c.x, 1), w = small_integers(c.w, 2);
    const Tensor y = explicit_conv2d_transpose(x, w, p);
    const Tensor g = small_integers(y.shape(), 3);
    const double inner = sum(y * g).item();
    CHECK(sum(x * explicit_conv2d(g, w, p)).item() == inner);
    CHECK(sum(w * conv2d_weights(x, g, p, {c.w[2], c.w[3]})).item() == inner);
  }
}

TEST_CASE("the convolution family: derivatives to third order") {
  const Conv2DParams p =
      infer_conv2d_transpose_params({.stride = 2, .padding = 1, .output_size = 4}, {1, 2, 2, 2}, {2, 1, 3, 3});
  const Tensor x = spread_values({1, 2, 2, 2}, 1), w = spread_values({2, 1, 3, 3}, 2),
               g = spread_values({1, 1, 4, 4}, 3);
  // The step balances the error of nested differences against round-off.
  const CheckGradsOptions options{.order = 3, .full = false, .step = 1e-4};
  CHECK_THAT(
      check_grads([&](const Tensor& a, const Tensor& b) { return explicit_conv2d_transpose(a, b, p); }, x, w, options),
      GradsAgree());
  CHECK_THAT(check_grads([&](const Tensor& a, const Tensor& b) { return explicit_conv2d(a, b, p); }, g, w, options),
             GradsAgree());
  CHECK_THAT(check_grads(
                 [&](const Tensor& a, const Tensor& b) {
                   return conv2d_weights(a, b, p, {3, 3});
                 },
                 x, g, options),
             GradsAgree());
}

TEST_CASE("convolution: values by hand, and all options") {
  const Tensor x = image({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
  CHECK(same(conv2d(x, image({{1, 2}, {3, 4}})), image({{37, 47}, {67, 77}})));
  CHECK(same(conv2d(x, image({{1, 2}, {3, 4}}), tensor({1.}, float64), {.stride = 2}), image({{38}})));
  CHECK(same(conv2d(x, image({{1}}), {}, {.stride = 2, .padding = {1, 0, 0, 1}}), image({{0, 0}, {4, 6}})));
  CHECK(same(conv2d(x, image({{1, 1}, {1, 1}}), {}, {.dilation = 2}), image({{20}})));
  CHECK(conv2d(x, image({{1, 2}, {3, 4}}), {}, {.stride = 2, .padding = "SAME"}).shape() == Shape(1, 1, 2, 2));
  const Tensor two = concat({x, x * 10.}, 1), grouped = concat({image({{2}}), image({{3}})}, 0);
  CHECK(same(conv2d(two, grouped, {}, {.groups = 2}), concat({x * 2., x * 30.}, 1)));
  CHECK(same(conv2d(two.permute({0, 2, 3, 1}), grouped, {}, {.groups = 2, .data_format = "NHWC"}).permute({0, 3, 1, 2}),
             concat({x * 2., x * 30.}, 1)));
}

TEST_CASE("convolution: gradients agree with differences, to second order") {
  const Tensor x = spread_values({2, 4, 5, 6}, 1), w = spread_values({6, 2, 3, 2}, 2), b = spread_values(Shape(6), 3);
  for (const Conv2DOptions& options :
       {Conv2DOptions{.groups = 2}, Conv2DOptions{.stride = {2, 3}, .padding = {1, 0, 2, 1}, .groups = 2},
        Conv2DOptions{.padding = "SAME", .dilation = 2, .groups = 2}, Conv2DOptions{.dilation = {2, 3}, .groups = 2}}) {
    const auto f = [&options](const Tensor& u, const Tensor& v, const Tensor& s) { return conv2d(u, v, s, options); };
    CHECK_THAT(check_all(f, x, w, b), GradsAgree());
  }
}

TEST_CASE("convolutions that end in an activation are one op, with the values and derivatives of two") {
  const Tensor x = spread_values({2, 4, 5, 6}, 1), b = spread_values(Shape(6), 3);
  const Tensor w = spread_values({6, 4, 3, 2}, 2), v = spread_values({4, 6, 3, 2}, 4);
  for (const std::string_view name : {"relu", "leaky_relu", "sigmoid", "tanh"}) {
    INFO(name);
    const FusedActivation fused = fused_activation(name);
    const ActivationFunction act = activation(name);
    const auto f = [&](const Tensor& u, const Tensor& k, const Tensor& s) {
      return conv2d(u, k, s, {.stride = 2, .padding = 1, .activation = fused});
    };
    const auto g = [&](const Tensor& u, const Tensor& k, const Tensor& s) {
      return conv2d_transpose(u, k, s, {.stride = 2, .padding = 1, .activation = fused});
    };
    CHECK_THAT(check_all(f, x, w, b), GradsAgree());
    CHECK_THAT(check_all(g, x, v, b), GradsAgree());

    const Tensor leaf_x = leaf(x), leaf_v = leaf(v);
    const Tensor one = conv2d_transpose(leaf_x, leaf_v, {}, {.activation = fused});
    const Tensor two = act(conv2d_transpose(leaf_x, leaf_v));
    CHECK(same(one, two));
    CHECK(gradient_node(one)->inputs()[0].get() == gradient_node(leaf_x));
    const auto of_one = grad({sum(one * one)}, {leaf_x, leaf_v}), of_two = grad({sum(two * two)}, {leaf_x, leaf_v});
    CHECK(same(of_one[0], of_two[0]));
    CHECK(same(of_one[1], of_two[1]));
  }
  CHECK_FALSE(fused_activation("gelu"));
  CHECK_THROWS_MATCHES(conv2d(x, w, {}, {.activation = {FusedActivation::Kind::leaky_relu, -1}}), InvalidArgument,
                       MessageContains("conv2d", "slope is negative", "got -1", "leaky_relu"));
}

TEST_CASE("convolutions of an empty batch give empty results and zero weight gradients") {
  const Tensor x = leaf(zeros({0, 3, 4, 4}, float64)), w = leaf(ones({3, 2, 3, 3}, float64)),
               b = leaf(ones({2}, float64));
  const Tensor y = conv2d_transpose(x, w, b, {.stride = 2});
  CHECK(y.shape() == Shape(0, 2, 9, 9));
  sum(y).backward();
  CHECK(x.grad().shape() == x.shape());
  CHECK(same(w.grad(), zeros({3, 2, 3, 3}, float64)));
  CHECK(same(b.grad(), zeros({2}, float64)));
  CHECK(conv2d(zeros({0, 2, 9, 9}), zeros({3, 2, 3, 3})).shape() == Shape(0, 3, 7, 7));
}

TEST_CASE("convolutions let NaN and infinity through where they reach") {
  const Tensor y = conv2d_transpose(image({{kNaN, 1}, {1, kInfinity}}), image({{1}}), {}, {.stride = 2});
  CHECK(std::isnan(y.at({0, 0, 0, 0})));
  CHECK(y.at({0, 0, 0, 1}) == 0);
  CHECK(y.at({0, 0, 2, 2}) == kInfinity);
}

TEST_CASE("transposed convolution: an output size outside its range is refused on both sides") {
  const Conv2DTransposeOptions small{.stride = 2, .output_size = 3}, large{.stride = 2, .output_size = {4, 6}};
  CHECK_THROWS_MATCHES(conv2d_transpose(x2(), x2(), {}, small), ShapeError,
                       MessageContains("conv2d_transpose", "too small", "height in [4, 6)", "got 3"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x2(), x2(), {}, large), ShapeError,
                       MessageContains("too large", "width in [4, 6)", "got 6", "fix"));
  CHECK(conv2d_transpose(x2(), x2(), {}, {.stride = 2, .output_size = {4, 5}}).shape() == Shape(1, 1, 4, 5));
  CHECK_THROWS_AS(conv2d_transpose(x2(), x2(), {}, {.output_size = 4}), ShapeError);  // stride 1 allows H' alone
}

TEST_CASE("transposed convolution: output padding stays below stride or dilation, and excludes an output size") {
  CHECK(conv2d_transpose(x2(), x2(), {}, {.stride = 2, .output_padding = 1}).shape() == Shape(1, 1, 5, 5));
  CHECK(conv2d_transpose(x2(), x2(), {}, {.output_padding = 2, .dilation = 3}).shape() == Shape(1, 1, 7, 7));
  CHECK_THROWS_MATCHES(conv2d_transpose(x2(), x2(), {}, {.stride = 2, .output_padding = 2}), ShapeError,
                       MessageContains("output_padding is out of range", "[0, 2)", "got 2"));
  CHECK_THROWS_AS(conv2d_transpose(x2(), x2(), {}, {.stride = 2, .output_padding = -1}), ShapeError);
  CHECK_THROWS_MATCHES(conv2d_transpose(x2(), x2(), {}, {.stride = 2, .output_padding = 1, .output_size = 5}),
                       InvalidArgument, MessageContains("both given"));
}

TEST_CASE("convolutions refuse shapes that do not fit, naming both") {
  const Tensor x = zeros({8, 64, 16, 16}), w = zeros({32, 16, 4, 4});
  CHECK_THROWS_MATCHES(
      conv2d_transpose(x, w), ShapeError,
      MessageContains("conv2d_transpose: weight does not fit the input.", "x [8, 64, 16, 16]  (N, C, H, W)",
                      "w [32, 16, 4, 4]  (C, O/groups, kh, kw)", "expected w.shape[0] == C == 64, got 32",
                      "fix: construct the layer with num_channels = 64, or feed 32 channels"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x.permute({0, 2, 3, 1}), w, {}, {.data_format = "NHWC"}), ShapeError,
                       MessageContains("x [8, 16, 16, 64]  (N, H, W, C)", "got 32"));
  CHECK_THROWS_MATCHES(conv2d(x, w), ShapeError, MessageContains("conv2d: ", "w.shape[1] == C/groups == 64, got 16"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x.select(0, 0), w), ShapeError, MessageContains("rank 4", "got [64, 16, 16]"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x, w.select(0, 0)), ShapeError,
                       MessageContains("w of rank 4", "got [16, 4, 4]"));
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1, 5, 3, 3}), zeros({5, 2, 3, 3}), {}, {.groups = 2}), ShapeError,
                       MessageContains("groups do not divide", "C == 5", "got groups 2"));
  CHECK_THROWS_MATCHES(conv2d(zeros({1, 4, 3, 3}), zeros({5, 2, 3, 3}), {}, {.groups = 2}), ShapeError,
                       MessageContains("groups do not divide", "O == 5"));
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1, 5, 3, 3}), zeros({5, 2, 3, 3}), zeros({3})), ShapeError,
                       MessageContains("bias does not fit", "b [2]", "got [3]"));
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1, 5, 0, 3}), zeros({5, 2, 3, 3})), ShapeError,
                       MessageContains("no pixels", "got 0"));
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1, 5, 3, 3}), zeros({5, 2, 3, 0})), ShapeError,
                       MessageContains("weight is empty"));
}

TEST_CASE("convolutions refuse mixed dtypes before they look at shapes") {
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1}), zeros({2}, float64)), DtypeError,
                       MessageContains("float32", "w float64"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x2(), x2(), zeros({1})), DtypeError,
                       MessageContains("float64", "bias float32"));
  CHECK_THROWS_MATCHES(conv2d(zeros({1, 1, 2, 2}, int64), zeros({1, 1, 2, 2}, int64)), DtypeError,
                       MessageContains("conv2d", "int64"));
}

TEST_CASE("convolutions refuse numbers that make no sense") {
  const auto run = [](const Conv2DTransposeOptions& options) { return conv2d_transpose(x2(), x2(), {}, options); };
  CHECK_THROWS_MATCHES(run({.stride = {1, 0}}), InvalidArgument,
                       MessageContains("stride must be positive", "got (1, 0)"));
  CHECK_THROWS_MATCHES(run({.dilation = -1}), InvalidArgument, MessageContains("dilation must be positive"));
  CHECK_THROWS_MATCHES(run({.groups = 0}), InvalidArgument, MessageContains("groups must be positive", "got 0"));
  CHECK_THROWS_MATCHES(run({.padding = {0, -1}}), InvalidArgument,
                       MessageContains("padding must not be negative", "left -1"));
  CHECK_THROWS_MATCHES(run({.padding = {{0, 0}, {1, 0}, {1, 1}, {1, 1}}}), InvalidArgument,
                       MessageContains("channels", "{1, 0}"));
  CHECK_THROWS_MATCHES(run({.padding = {{0, 0}, {1, 1}, {1, 1}, {0, 1}}, .data_format = "NHWC"}), InvalidArgument,
                       MessageContains("batch or of the channels", "{0, 1}"));
  CHECK_THROWS_MATCHES(run({.padding = 2}), ShapeError,
                       MessageContains("nothing is left", "height of at least 1", "got -1"));
  CHECK_THROWS_MATCHES(conv2d(x2(), w3()), ShapeError, MessageContains("kernel is larger", "got 0"));
}

TEST_CASE("convolutions refuse sizes beyond 64 bits before anything is allocated") {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const auto run = [](const Conv2DTransposeOptions& options) { return conv2d_transpose(x2(), x2(), {}, options); };
  CHECK_THROWS_MATCHES(run({.stride = kHuge + (kHuge - 1)}), ShapeError, MessageContains("64 bits"));
  CHECK_THROWS_AS(run({.stride = kHuge}), ShapeError);
  CHECK_THROWS_AS(run({.dilation = kHuge}), ShapeError);
  CHECK_THROWS_AS(run({.stride = {kHuge, 1}, .output_size = {3, 3}}), ShapeError);
  CHECK_THROWS_AS(run({.padding = kHuge}), ShapeError);
  CHECK_THROWS_AS(run({.stride = std::int64_t{1} << 40}), ShapeError);  // 2^80 pixels
  CHECK_THROWS_AS(run({.groups = kHuge}), ShapeError);
  CHECK_THROWS_AS(conv2d(x2(), x2(), {}, {.padding = kHuge}), ShapeError);
  CHECK_THROWS_AS(conv2d(x2(), x2(), {}, {.dilation = kHuge}), ShapeError);
}

TEST_CASE("the convolution family refuses raw parameters that do not fit the tensors") {
  const Tensor x = zeros({1, 2, 3, 3}), w = zeros({2, 1, 2, 2}), y = zeros({1, 1, 4, 4});
  const Conv2DParams good = infer_conv2d_transpose_params({}, x.shape(), w.shape());
  CHECK_NOTHROW(explicit_conv2d_transpose(x, w, good));
  const Conv2DParams pixel = infer_conv2d_transpose_params({}, Shape{1, 2, 1, 1}, Shape{2, 1, 1, 1});
  CHECK(explicit_conv2d_transpose(ones({1, 2, 1, 1}), ones({2, 1, 1, 1}), pixel).item() == 2);
  const auto with = [&](auto change) {
    Conv2DParams p = good;
    change(p);
    return p;
  };
  CHECK_THROWS_MATCHES(explicit_conv2d_transpose(x, w, with([](auto& p) { p.stride[0] = 0; })), ShapeError,
                       MessageContains("conv2d_transpose", "invalid"));
  CHECK_THROWS_AS(explicit_conv2d_transpose(x, w, with([](auto& p) { p.padding[1] = -1; })), ShapeError);
  CHECK_THROWS_AS(explicit_conv2d_transpose(x, w, with([](auto& p) { p.groups = 0; })), ShapeError);
  CHECK_THROWS_AS(explicit_conv2d_transpose(x, w, with([](auto& p) { p.groups = std::int64_t{1} << 62; })), ShapeError);
  CHECK_THROWS_AS(
      explicit_conv2d_transpose(x, w, with([](auto& p) { p.dilation[0] = std::numeric_limits<std::int64_t>::max(); })),
      ShapeError);
  CHECK_THROWS_AS(explicit_conv2d_transpose(x, w, with([](auto& p) { p.output_extent = {0, 4}; })), ShapeError);
  CHECK_THROWS_MATCHES(explicit_conv2d_transpose(x, w, with([](auto& p) {
                                                   p.input_extent = {3, 4};
                                                 })),
                       ShapeError, MessageContains("x does not have the stated extent"));
  CHECK_THROWS_MATCHES(explicit_conv2d(y, w, with([](auto& p) {
                                         p.output_extent = {5, 4};
                                       })),
                       ShapeError, MessageContains("conv2d", "y does not have"));
  CHECK_THROWS_MATCHES(explicit_conv2d(zeros({1, 3, 4, 4}), w, good), ShapeError, MessageContains("w does not fit y"));
  CHECK_THROWS_MATCHES(conv2d_weights(x, zeros({2, 1, 4, 4}), good, {2, 2}), ShapeError,
                       MessageContains("conv2d_weights", "batches differ"));
  CHECK_THROWS_AS(conv2d_weights(x, y, good, {0, 2}), ShapeError);
  CHECK_THROWS_AS(conv2d_weights(x, y.select(0, 0), good, {2, 2}), ShapeError);
}
