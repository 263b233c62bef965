// Kernels see values, not memory: any strides give the result that dense operands give.
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/backends/flipped.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// The same values in another order in memory.
Tensor permuted(const Tensor& x) {
  return view::permute(kernel::clone(view::permute(x, {3, 1, 0, 2}), MemoryFormat::row_major), {2, 1, 3, 0});
}

/// The same values as every second element of a larger tensor, away from its start.
Tensor spread(const Tensor& x) {
  Shape larger = x.shape();
  for (std::int64_t& extent : larger) extent = 2 * extent + 1;
  const Tensor whole = full(larger, -77, x.dtype());
  Tensor window = whole;
  for (int axis = 0; axis < x.rank(); ++axis) window = view::slice(window, axis, 1, larger[axis], 2);
  kernel::copy(x, window);
  return window;
}

Tensor rows_backwards(const Tensor& x) { return backwards(x, {3}); }
Tensor all_backwards(const Tensor& x) { return backwards(x, {0, 1, 2, 3}); }

Tensor channels_last(const Tensor& x) { return kernel::clone(x, MemoryFormat::channels_last); }

}  // namespace

TEST_CASE("operands of any strides give what dense ones give") {
  using Change = Tensor (*)(const Tensor&);
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      for (const ConvShape& shape : kSmallShapes) {
        const ConvOperands dense(shape, dtype, random_integers);
        for (const Change change : {permuted, spread, channels_last, rows_backwards, all_backwards}) {
          const ConvOperands strided(shape, change(dense.x), change(dense.w), change(dense.g));
          for (const Kind kind : kDirections) {
            for (const Algorithm* algorithm : backend(name).algorithms()) {
              if (shape.n == 0 || !supports(*algorithm, shape, kind, dtype)) continue;  // a backend keeps these from it
              INFO(name << ":" << algorithm->name() << ", " << shape << ", " << name_of(kind) << ", "
                        << name_of(dtype));
              CHECK(identical(strided.run(*algorithm, kind), dense.run(*algorithm, kind)));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("expanded operands give what their copies give") {
  constexpr ConvShape kShape{"expanded", 3, 8, 4, 4, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1};
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      const ConvOperands expanded(kShape, view::expand(random_integers({1, 8, 1, 4}, dtype, 1), kShape.x_shape()),
                                  view::expand(random_integers({8, 1, 1, 3}, dtype, 2), kShape.w_shape()),
                                  view::expand(random_integers({1}, dtype, 3), kShape.y_shape()));
      const ConvOperands dense(kShape, kernel::clone(expanded.x), kernel::clone(expanded.w), kernel::clone(expanded.g));
      for (const Kind kind : kDirections) {
        if (!supports(backend(name), kShape, kind, dtype)) continue;
        INFO(name << ", " << name_of(kind) << ", " << name_of(dtype));
        CHECK(identical(expanded.run(backend(name), kind), dense.run(backend(name), kind)));
      }
    }
  }
}

TEST_CASE("two weights that are views of one storage are not mixed up") {
  constexpr ConvShape kShape{"views", 1, 8, 4, 4, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 0, 0};
  const Tensor both = random_integers({16, 8, 3, 3}, float32, 4);
  for (const std::string_view name : backend_names()) {
    for (int repeat = 0; repeat < 2; ++repeat) {
      for (const std::int64_t first : {0, 8}) {
        const Tensor part = view::slice(both, 0, first, first + 8);
        ConvOperands in(kShape, float32, random_integers);
        in.w = part;
        ConvOperands copied = in;
        copied.w = kernel::clone(part);
        for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) {
          if (!supports(backend(name), kShape, kind, float32)) continue;
          INFO(name << ", " << name_of(kind) << ", channels from " << first);
          CHECK(identical(in.run(backend(name), kind), copied.run(backend("reference"), kind)));
        }
      }
    }
  }
}
