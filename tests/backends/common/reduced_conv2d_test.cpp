// Problems whose strides, paddings and dilations are far larger than their images and kernels.
#include <dygrad/backends/common/reduced_conv2d.h>

#include <limits>
#include <random>
#include <set>
#include <tuple>

#include <dygrad/core/base/error.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/backends/conv_terms.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

struct Axis {
  std::int64_t inputs, outputs, kernel, stride, padding, dilation;
};

constexpr std::int64_t kHuge = std::int64_t{1} << 61;

// Each has a few terms.
constexpr Axis kExtremeAxes[] = {
    {1, 8, 3, kHuge, 1, 1},                          // the stride of a single input
    {2, 8, 3, 1000000000, 1000000001, 1},            // padding hides the first input
    {3, 8, 3, 1000000000, 1000000001, 1},            // and the last one lies beyond the output
    {8, 8, 3, 30000000, 100000000, 1},               // padding between two inputs: nothing contributes
    {8, 9, 3, 25000000, 100000001, 1},               // one input, cut at the start
    {6, 8, 6, 1000000000, 4999999995, 999999999},    // both are large, and their multiples coincide
    {4, 5, 4, kHuge / 8, kHuge / 4 - 2, kHuge / 8},  // a common divisor
    {5, 9, 1, 3000000, 6000004, 1},                  // one tap
    {2, 3003, 3, 3000, 0, 1},                        // far apart, all of them inside
    {3, 5000, 4, 3000, 2, 3},                        // cut at the start and behind
    {5, 800, 3, 1, 2, 400},                          // taps far apart
    {5, 700, 3, 2, 1, 300},                          // the same, cut behind
    {1, 7, 3, 1, 2000000, 1000000},                  // only the last tap of a dilated kernel
    {7, 7, 1, 1, 0, kHuge},                          // the dilation of a single tap
    {4, 6, 3, 1, 3, 1},                              // padding beyond the kernel
    {40, 9, 3, 1, 20, 1},                            // and much of it
    {3, 500, 3, 1, 0, 1},                            // outputs beyond the reach
};
constexpr Axis kOrdinaryAxes[] = {{5, 11, 3, 2, 1, 1}, {4, 4, 3, 1, 1, 1}};

std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> terms_of(const Axis& a) {
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> terms;
  for (const auto& [h, i, o] : conv_terms(a.inputs, a.outputs, a.kernel, a.stride, a.padding, a.dilation))
    terms.insert({h, i, o});
  return terms;
}

/// The terms of the reduced axis, as indices of the whole one.
std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> terms_of(const ReducedAxis& axis) {
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> terms;
  for (const auto& [h, i, o] :
       conv_terms(axis.inputs, axis.reduced_outputs(), axis.taps, axis.stride, axis.padding, axis.dilation)) {
    const std::int64_t place = axis.output_index.empty() ? o : axis.output_index[static_cast<std::size_t>(o)];
    if (place >= 0)
      terms.insert({h + axis.first_input, i + axis.first_tap, place * axis.output_step + axis.first_output});
  }
  return terms;
}

void check_reduction(const Axis& a) {
  INFO("inputs " << a.inputs << ", outputs " << a.outputs << ", kernel " << a.kernel << ", stride " << a.stride
                 << ", padding " << a.padding << ", dilation " << a.dilation);
  const ReducedAxis reduced = reduce_axis(a.inputs, a.outputs, a.kernel, a.stride, a.padding, a.dilation);
  CHECK(terms_of(reduced) == terms_of(a));
  CHECK(reduced.padding >= 0);
  CHECK(reduced.stride >= 1);
  CHECK(reduced.dilation >= 1);
}

/// Both axes as one problem, in all directions and by all backends, on whole numbers: all sums are exact.
void check_problem(const Axis& rows, const Axis& columns, std::int64_t groups) {
  const Conv2DParams p{.stride = {rows.stride, columns.stride},
                       .padding = {rows.padding, columns.padding},
                       .dilation = {rows.dilation, columns.dilation},
                       .groups = groups,
                       .input_extent = {rows.inputs, columns.inputs},
                       .output_extent = {rows.outputs, columns.outputs}};
  const std::int64_t c = 2 * groups, o = groups > 2 ? groups : 3 * groups;
  const Shape x{2, groups > 2 ? groups : c, rows.inputs, columns.inputs},
      w{x[1], o / groups, rows.kernel, columns.kernel}, y{2, o, rows.outputs, columns.outputs};
  for (const DType dtype : {float32, float64}) {
    const Tensor of_x = random_integers(x, dtype, 1), of_w = random_integers(w, dtype, 2),
                 of_y = random_integers(y, dtype, 3);
    for (const Kind kind : kDirections) {
      const Tensor &a = kind == Kind::conv2d ? of_y : of_x, &b = kind == Kind::conv2d_weights ? of_y : of_w;
      const Tensor expected = conv_by_definition(kind, p, a, b, x, w, y);
      const Problem problem{kind, dtype, &p, x, w, y, MathMode::strict};
      INFO(name_of(kind) << ", stride " << rows.stride << " x " << columns.stride << ", padding " << rows.padding
                         << " x " << columns.padding << ", dilation " << rows.dilation << " x " << columns.dilation);
      const auto check = [&] {
        const Tensor sums_alone = compute(problem, a, b);
        CHECK(identical(kernel::cast(sums_alone, float64), expected));
        if (kind == Kind::conv2d_weights) return;
        const Tensor bias = random_integers({expected.dim(1)}, dtype, 4);
        const std::vector<double> sums = expected.to_vector<double>(), shifts = bias.to_vector<double>();
        std::vector<double> shifted;
        const auto in_plane = static_cast<std::size_t>(expected.dim(2) * expected.dim(3));
        for (std::size_t i = 0; i < sums.size(); ++i)
          shifted.push_back(std::max(sums[i] + shifts[i / in_plane % shifts.size()], 0.));
        const Tensor actual = compute(problem, a, b, {bias, {FusedActivation::Kind::relu}});
        CHECK(actual.to_vector<double>() == shifted);
      };
      check();
      for (const std::string_view name : backend_names()) {
        INFO("backend " << name);
        const BackendGuard guard(name);
        try {
          check();
        } catch (const BackendError&) {
          CHECK((name == "onednn" || name == "gemm"));  // which may refuse what is left
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("a reduced axis has the same terms", "[smoke]") {
  for (const Axis& axis : kExtremeAxes) check_reduction(axis);
  std::mt19937 engine(5);
  const auto below = [&](std::int64_t limit) {
    return static_cast<std::int64_t>(engine() % static_cast<std::uint32_t>(limit));
  };
  for (int i = 0; i < 2000; ++i) {
    check_reduction({1 + below(7), 1 + below(30), 1 + below(6), 1 + below(40), below(60), 1 + below(40)});
  }
}

TEST_CASE("a reduced axis has only what contributes") {
  const auto size = [](const ReducedAxis& axis) { return axis.inputs + axis.taps + axis.reduced_outputs(); };
  CHECK(size(reduce_axis(2, 1000003, 3, 1000000, 0, 1)) == 2 + 3 + 6);
  CHECK(size(reduce_axis(3, 2000005, 5, 1, 0, 1000000)) == 3 + 3 + 9);  // two of the taps lie beyond the output
  CHECK(reduce_axis(8, 9, 3, 25000000, 100000001, 1).inputs == 1);
  CHECK(reduce_axis(8, 8, 3, 30000000, 100000000, 1).inputs == 0);
  CHECK(size(reduce_axis(200000008, 8, 3, 1, 100000000, 1)) == 10 + 3 + 8);
}

TEST_CASE("ordinary problems are left alone") {
  for (const ConvShape& shape : kSmallShapes) {
    const Conv2DParams p = shape.params();
    CHECK_FALSE(
        ReducedConv2D::of({Kind::conv2d_transpose, float32, &p, shape.x_shape(), shape.w_shape(), shape.y_shape()}));
  }
}

TEST_CASE("problems of extreme geometry are computed by every backend, exactly on whole numbers") {
  for (const Axis& axis : kExtremeAxes) {
    check_problem(axis, kOrdinaryAxes[1], 1);
    check_problem(kOrdinaryAxes[0], axis, 1);
  }
}

TEST_CASE("both axes may be extreme, and channels in groups") {
  for (std::size_t i = 0; i < std::size(kExtremeAxes); ++i) {
    const Axis &rows = kExtremeAxes[i], &columns = kExtremeAxes[(i + 3) % std::size(kExtremeAxes)];
    if (rows.outputs * columns.outputs > 50000) continue;
    for (const std::int64_t groups : {2, 16}) check_problem(rows, columns, groups);
  }
}
