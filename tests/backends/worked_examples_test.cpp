// Small transposed convolutions worked by hand, on every backend and dtype.
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr std::int64_t kComputed = -1;  // output extent by the formula, without extra rows

struct Geometry {
  std::array<std::int64_t, 2> stride{1, 1}, padding{0, 0}, dilation{1, 1};
  std::int64_t groups = 1;
  std::int64_t output_size = kComputed;
};

Conv2DParams params(const Tensor& x, const Tensor& w, const Geometry& geometry) {
  Conv2DParams p{
      .stride = geometry.stride, .padding = geometry.padding, .dilation = geometry.dilation, .groups = geometry.groups};
  for (int axis = 0; axis < 2; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    p.input_extent[a] = x.dim(2 + axis);
    const std::int64_t extent =
        (x.dim(2 + axis) - 1) * p.stride[a] - 2 * p.padding[a] + p.dilation[a] * (w.dim(2 + axis) - 1) + 1;
    p.output_extent[a] = geometry.output_size == kComputed ? extent : geometry.output_size;
  }
  return p;
}

Tensor image(const NestedList& rows, DType dtype) {
  const Tensor plane = tensor(rows, dtype);
  return from_vector(plane.to_vector<double>(), {1, 1, plane.dim(0), plane.dim(1)});
}

/// Runs `check` on each backend and float type, with a function that makes [1, 1, rows, columns] images.
template <class Check>
void on_every_backend(const Check& check) {
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      const auto make = [dtype](const NestedList& rows) { return kernel::cast(image(rows, dtype), dtype); };
      // A kernel a backend leaves to others is checked on those.
      const auto chosen = [&](Kind kind, const Conv2DParams& p, const Tensor& x, const Tensor& w) -> const Backend& {
        const Shape y{x.dim(0), w.dim(1) * p.groups, p.output_extent[0], p.output_extent[1]};
        const Problem problem{.kind = kind, .dtype = dtype, .conv = &p, .x = x.shape(), .w = w.shape(), .y = y};
        const Backend& wanted = backend(name);
        return wanted.supports(problem) ? wanted : backend("reference");
      };
      INFO(name << ", " << name_of(dtype));
      check(make, chosen);
    }
  }
}

}  // namespace

TEST_CASE("forward examples come out as worked by hand") {
  on_every_backend([](const auto& make, const auto& chosen) {
    const auto forward = [&](const Tensor& x, const Tensor& w, const Geometry& geometry) {
      const Conv2DParams p = params(x, w, geometry);
      return chosen(Kind::conv2d_transpose, p, x, w).conv2d_transpose(p, x, w);
    };
    const Tensor x = make({{1, 2}, {3, 4}});
    const Tensor w2 = make({{1, 2}, {3, 4}});
    const Tensor w3 = make({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});

    CHECK(identical(forward(x, w2, {}), make({{1, 4, 4}, {6, 20, 16}, {9, 24, 16}})));
    const Tensor stride_2 = make({{1, 2, 2, 4}, {3, 4, 6, 8}, {3, 6, 4, 8}, {9, 12, 12, 16}});
    CHECK(identical(forward(x, w2, {.stride = {2, 2}}), stride_2));
    CHECK(identical(forward(x, w2, {.dilation = {2, 2}}),
                    make({{1, 2, 2, 4}, {3, 4, 6, 8}, {3, 6, 4, 8}, {9, 12, 12, 16}})));
    CHECK(identical(forward(x, w2, {.stride = {2, 2}, .output_size = 5}),
                    make({{1, 2, 2, 4, 0}, {3, 4, 6, 8, 0}, {3, 6, 4, 8, 0}, {9, 12, 12, 16, 0}, {0, 0, 0, 0, 0}})));
    CHECK(identical(
        forward(x, w3, {.stride = {2, 2}}),
        make({{1, 2, 5, 4, 6}, {4, 5, 14, 10, 12}, {10, 14, 36, 24, 30}, {12, 15, 34, 20, 24}, {21, 24, 55, 32, 36}})));
    CHECK(identical(forward(x, w3, {.stride = {2, 2}, .padding = {1, 1}}),
                    make({{5, 14, 10}, {14, 36, 24}, {15, 34, 20}})));
    CHECK(identical(forward(x, w3, {.stride = {2, 2}, .padding = {1, 1}, .output_size = 4}),
                    make({{5, 14, 10, 12}, {14, 36, 24, 30}, {15, 34, 20, 24}, {24, 55, 32, 36}})));
    CHECK(identical(forward(x, make({{1, 2, 3}}), {.stride = {2, 1}, .padding = {0, 1}}),
                    make({{4, 7}, {0, 0}, {10, 17}})));
  });
}

TEST_CASE("groups read their own channels and write their own filters") {
  on_every_backend([](const auto& make, const auto& chosen) {
    const DType dtype = make({{0}}).dtype();
    const Tensor x = kernel::cast(from_vector<double>({1, 2, 3, 4}, {1, 4, 1, 1}), dtype);
    const Tensor w = kernel::cast(from_vector<double>({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2, 1, 1}), dtype);
    const Conv2DParams p = params(x, w, {.groups = 2});
    const Tensor y = chosen(Kind::conv2d_transpose, p, x, w).conv2d_transpose(p, x, w);
    CHECK(y.template to_vector<double>() == std::vector<double>{7, 10, 43, 50});
  });
}

TEST_CASE("gradient examples come out as worked by hand") {
  on_every_backend([](const auto& make, const auto& chosen) {
    const Tensor x = make({{1, 2}, {3, 4}});
    const Tensor w = make({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
    const auto gradients = [&](const Tensor& g, std::int64_t output_size) {
      const Conv2DParams p = params(x, w, {.stride = {2, 2}, .padding = {1, 1}, .output_size = output_size});
      return std::pair(chosen(Kind::conv2d, p, x, w).conv2d(p, g, w),
                       chosen(Kind::conv2d_weights, p, x, w).conv2d_weights(p, x, g, {3, 3}));
    };
    const auto [dx, dw] = gradients(make({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}), kComputed);
    CHECK(identical(dx, make({{94, 106}, {106, 94}})));
    CHECK(identical(dw, make({{20, 36, 15}, {36, 64, 26}, {10, 16, 5}})));

    const auto [dx_4, dw_4] = gradients(make({{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}), 4);
    CHECK(identical(dx_4, make({{28, 39}, {33, 45}})));
    CHECK(identical(dw_4, make({{4, 7, 7}, {6, 10, 10}, {6, 10, 10}})));

    const auto [dx_h, dw_h] = gradients(make({{1, 0, 2}, {0, 1, 0}, {-1, 0, 3}}), kComputed);
    CHECK(identical(dx_h, make({{14, 17}, {-2, 16}})));
    CHECK(identical(dw_h, make({{4, 0, 3}, {0, 14, 0}, {2, 0, 1}})));
  });
}

TEST_CASE("the second-order example follows from the three directions alone") {
  on_every_backend([](const auto& make, const auto& chosen) {
    const Tensor x = make({{1, 2}, {3, 4}});
    const Tensor w = make({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
    const Tensor g = make({{1, 0, 2}, {0, 1, 0}, {-1, 0, 3}});
    const Conv2DParams p = params(x, w, {.stride = {2, 2}, .padding = {1, 1}});
    // S = sum of dx squared with dx = bwd_data(g, w); so dS/dw = bwd_weights(2 dx, g) and dS/dg = fwd(2 dx, w).
    const Tensor twice_dx = make({{28, 34}, {-4, 32}});
    CHECK(identical(chosen(Kind::conv2d_weights, p, x, w).conv2d_weights(p, twice_dx, g, {3, 3}),
                    make({{32, 0, -4}, {0, 196, 0}, {34, 0, 28}})));
    CHECK(identical(chosen(Kind::conv2d_transpose, p, x, w).conv2d_transpose(p, twice_dx, w),
                    make({{140, 304, 170}, {216, 510, 336}, {-20, 104, 160}})));
  });
}

TEST_CASE("an example asymmetric in every way comes out as worked by hand") {
  on_every_backend([](const auto& make, const auto& chosen) {
    const DType dtype = make({{0}}).dtype();
    std::vector<double> values(36);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (static_cast<double>(i % 7) - 3) / 2;
    const Tensor w = kernel::cast(from_vector(values, {3, 2, 2, 3}), dtype);
    const Tensor x =
        kernel::cast(from_vector(kernel::cast(arange(24), float64).template to_vector<double>(), {2, 3, 2, 2}), dtype);
    const Conv2DParams p = params(x, w, {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}});
    const Tensor y = chosen(Kind::conv2d_transpose, p, x, w).conv2d_transpose(p, x, w);
    REQUIRE(y.shape() == Shape{2, 2, 2, 6});
    std::vector<double> with_bias = y.template to_vector<double>();
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < with_bias.size(); ++i) {
      with_bias[i] += i / 12 % 2 == 0 ? 0.25 : -0.25;
      sum += with_bias[i];
      squares += with_bias[i] * with_bias[i];
    }
    const std::vector<double> first(with_bias.begin(), with_bias.begin() + 12);
    CHECK(first == std::vector<double>{8.25, 8.75, -13.75, -15.25, -7.75, -7.75, 3.25, 2.75, 12.25, 13.25, .25, -.75});
    CHECK(sum == 13.0);
    CHECK(squares == 10897.0);
  });
}

TEST_CASE("the generator's usual steps give the usual extents") {
  struct Step {
    std::int64_t extent, kernel, stride, padding, output_size, expected;
  };
  const Step steps[] = {{7, 4, 2, 1, kComputed, 14}, {1, 4, 1, 0, kComputed, 4},  {7, 3, 2, 1, kComputed, 13},
                        {7, 3, 2, 1, 14, 14},        {7, 5, 2, 2, kComputed, 13}, {7, 5, 2, 2, 14, 14},
                        {7, 2, 2, 0, kComputed, 14}};
  for (const Step& step : steps) {
    const Tensor x = ones({1, 1, step.extent, step.extent}), w = ones({1, 1, step.kernel, step.kernel});
    const Conv2DParams p = params(x, w,
                                  {.stride = {step.stride, step.stride},
                                   .padding = {step.padding, step.padding},
                                   .output_size = step.output_size});
    const Tensor y = backend("reference").conv2d_transpose(p, x, w);
    CHECK(y.shape() == Shape{1, 1, step.expected, step.expected});
  }
}
