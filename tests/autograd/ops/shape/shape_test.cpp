#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

Tensor counting(const Shape& shape) { return arange(num_elements(shape), float64).reshape(shape); }

bool shares_memory(const Tensor& a, const Tensor& b) { return a.impl()->storage == b.impl()->storage; }

/// Derivatives of f(x)^2, whose second derivative is not zero, for dense and strided x.
template <class F>
CheckGradsReport check_squared(const F& f, const Tensor& x) {
  const auto squared = [&f](const Tensor& u) {
    const Tensor y = f(u);
    return y * y;
  };
  return check_grads(squared, x, {.order = 2});
}

}  // namespace

TEST_CASE("reshape is a view where it can be, and a copy in row-major order where it cannot") {
  const Tensor x = counting({2, 3, 4});
  CHECK(shares_memory(reshape(x, {6, 4}), x));
  CHECK(reshape(x, {4, -1}).shape() == Shape(4, 6));
  const Tensor turned = transpose(x, 0, 2);
  CHECK_FALSE(shares_memory(reshape(turned, {24}), x));
  CHECK(reshape(turned, {24}).at({1}) == 12);
  CHECK(reshape(zeros({0, 3}), {3, 0, 2}).shape() == Shape(3, 0, 2));
  CHECK(reshape(tensor(5.), {1, 1}).shape() == Shape(1, 1));
  CHECK_THROWS_MATCHES(reshape(x, {5, 5}), ShapeError, MessageContains("reshape", "expected 24 elements", "[5, 5]"));
}

TEST_CASE("flatten merges a range of dimensions") {
  const Tensor x = counting({2, 3, 4, 5});
  CHECK(flatten(x).shape() == Shape(120));
  CHECK(flatten(x, 1).shape() == Shape(2, 60));
  CHECK(flatten(x, 1, -2).shape() == Shape(2, 12, 5));
  CHECK(flatten(tensor(1.)).shape() == Shape(1));
  CHECK_THROWS_MATCHES(flatten(x, 2, 1), ShapeError,
                       MessageContains("flatten", "start_axis <= stop_axis", "got 2 and 1"));
}

TEST_CASE("views move no elements") {
  const Tensor x = counting({2, 3, 4});
  CHECK(shares_memory(permute(x, {2, 0, 1}), x));
  CHECK(permute(x, {-1, 0, 1}).at({3, 1, 2}) == 23);
  CHECK(transpose(x, 0, -1).at({3, 1, 0}) == 7);
  CHECK(slice(x, 2, 1, 100, 2).shape() == Shape(2, 3, 2));
  CHECK(slice(x, 2, -3, -1).at({0, 0, 0}) == 1);
  CHECK(select(x, 1, -1).at({1, 0}) == 20);
  CHECK(expand(tensor({1., 2.}), {3, 2}).at({2, 1}) == 2);
  CHECK(squeeze(unsqueeze(x, 1), 1).shape() == x.shape());
  CHECK(unsqueeze(x, -1).shape() == Shape(2, 3, 4, 1));
  CHECK(shares_memory(unsqueeze(transpose(x, 0, 2), 1), x));
  CHECK_THROWS_MATCHES(squeeze(x, 0), ShapeError, MessageContains("squeeze", "extent 1", "got 2"));
  CHECK_THROWS_AS(slice(tensor(1.), 0, 0, 1), ShapeError);
  CHECK_THROWS_AS(select(x, 0, 2), ShapeError);
  CHECK_THROWS_AS(unsqueeze(x, 4), ShapeError);
  CHECK_THROWS_AS(permute(x, {0, 1}), ShapeError);
}

TEST_CASE("sum_to undoes expand") {
  const Tensor x = counting({2, 3, 4});
  CHECK(same(sum_to(x, {3, 1}), tensor({{60.}, {92.}, {124.}}, float64)));
  CHECK(sum_to(x, {}).item() == 276);
  CHECK(sum_to(x, x.shape()).is_same(x));
  CHECK(sum_to(x.reshape({1, 2, 12}), {2, 12}).shape() == Shape(2, 12));
  CHECK_THROWS_MATCHES(sum_to(x, {2, 1}), ShapeError, MessageContains("sum_to", "x [2, 3, 4]", "got [2, 1]"));
  CHECK_THROWS_AS(sum_to(arange(3), {1}), DtypeError);
  CHECK_THROWS_AS(sum_to(arange(3), {3}), DtypeError);
}

TEST_CASE("concat and stack join tensors of any strides") {
  const Tensor a = counting({2, 2}), b = counting({2, 3}) * 10.;
  CHECK(same(concat({a, b}, 1), tensor({{0, 1, 0, 10, 20}, {2, 3, 30, 40, 50}}, float64)));
  CHECK(same(concat({transpose(b, 0, 1), a}), tensor({{0, 30}, {10, 40}, {20, 50}, {0, 1}, {2, 3}}, float64)));
  CHECK(same(stack({a, a + 1.}, -1), tensor({{{0, 1}, {1, 2}}, {{2, 3}, {3, 4}}}, float64)));
  CHECK(concat({zeros({0, 2}, float64), a}).shape() == a.shape());
  CHECK(concat({arange(2), arange(3)}).dtype() == int64);
  const Tensor image = channels_last(counting({2, 3, 2, 2}));
  CHECK(concat({image, image}, 1).is_contiguous(MemoryFormat::channels_last));
}

TEST_CASE("concat and stack say what does not fit") {
  const Tensor a = zeros({2, 2});
  CHECK_THROWS_MATCHES(concat({a, zeros({3, 3})}), ShapeError,
                       MessageContains("concat", "tensors[0] [2, 2], axis 0", "tensors[1] [3, 3]"));
  CHECK_THROWS_MATCHES(concat({a, zeros({2})}), ShapeError, MessageContains("equal ranks"));
  CHECK_THROWS_MATCHES(concat({a, zeros({2, 2}, float64)}), DtypeError,
                       MessageContains("float32", "float64 in tensors[1]"));
  CHECK_THROWS_MATCHES(concat(std::span<const Tensor>()), InvalidArgument, MessageContains("nothing to join"));
  CHECK_THROWS_MATCHES(concat({tensor(1.)}), ShapeError, MessageContains("rank 0", "stack"));
  CHECK_THROWS_MATCHES(stack({a, zeros({2, 3})}), ShapeError,
                       MessageContains("stack", "[2, 2]", "[2, 3] in tensors[1]"));
  CHECK_THROWS_AS(stack({zeros({1, 1, 1, 1, 1, 1})}), ShapeError);
}

TEST_CASE("split gives views that cover the dimension") {
  const Tensor x = counting({5, 2});
  const auto uneven = split(x, {1, 4});
  CHECK(uneven[1].shape() == Shape(4, 2));
  CHECK(uneven[1].at({0, 0}) == 2);
  CHECK(shares_memory(uneven[1], x));
  CHECK(split(x, 2, 1).size() == 2);
  CHECK_THROWS_MATCHES(split(x, {1, 3}), ShapeError, MessageContains("split", "add up to 5", "1 + 3"));
  CHECK_THROWS_MATCHES(split(x, 2), ShapeError, MessageContains("divides 5", "got 2"));
  CHECK_THROWS_AS(split(x, 0), ShapeError);
  CHECK_THROWS_AS(split(x, {6, -1}), ShapeError);
}

TEST_CASE("split into many sections gives each its part, and each part its gradient") {
  std::vector<std::int64_t> sizes;
  std::int64_t extent = 0;
  for (std::int64_t i = 0; i < 75; ++i) extent += sizes.emplace_back(i % 4);  // some sections are empty
  const Tensor x = counting({2, extent}) * 0.01;
  const std::vector<Tensor> sections = split(x, sizes, 1);
  REQUIRE(sections.size() == sizes.size());
  std::int64_t start = 0;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    CHECK(same(sections[i], slice(x, 1, start, start + sizes[i])));
    CHECK(shares_memory(sections[i], x));
    start += sizes[i];
  }
  const auto weighted = [&](const Tensor& t) {
    Tensor total = zeros({}, float64);
    double weight = 1;
    for (const Tensor& section : split(t, sizes, 1)) total = total + sum(section * section) * weight++;
    return total;
  };
  CHECK_THAT(check_grads(weighted, x, {.order = 2, .full = false}), GradsAgree());
  const auto equal = [](const Tensor& t) {
    const std::vector<Tensor> parts = split(t, t.dim(1), 1);
    return parts[3] * parts[40] + parts.back();
  };
  CHECK_THAT(check_grads(equal, x, {.order = 2, .full = false}), GradsAgree());
}

TEST_CASE("tens of thousands of sections have their gradient within seconds") {
  // As many gradients of the whole would be thousands of millions of elements.
  constexpr std::int64_t kMany = 40'000;
  const Tensor x = ones({kMany}).set_stop_gradient(false);
  const std::vector<Tensor> sections = split(x, kMany);
  sum(concat(sections)).backward();
  CHECK(sum(x.grad()).item() == kMany);
}

TEST_CASE("shape ops name themselves and the operand that is undefined") {
  const Tensor none, x = ones({2});
  const auto undefined = [](const std::function<void()>& f, const std::string& words) {
    CHECK_THROWS_MATCHES(f(), InvalidArgument,
                         MessageContains(words + " was used before it was given a value", "fix: assign"));
  };
  undefined([&] { reshape(none, {1}); }, "reshape: x");
  undefined([&] { flatten(none); }, "flatten: x");
  undefined([&] { transpose(none, 0, 1); }, "transpose: x");
  undefined([&] { permute(none, {0}); }, "permute: x");
  undefined([&] { expand(none, {1}); }, "expand: x");
  undefined([&] { sum_to(none, {1}); }, "sum_to: x");
  undefined([&] { squeeze(none, 0); }, "squeeze: x");
  undefined([&] { unsqueeze(none, 0); }, "unsqueeze: x");
  undefined([&] { slice(none, 0, 0, 1); }, "slice: x");
  undefined([&] { select(none, 0, 0); }, "select: x");
  undefined([&] { split(none, 1); }, "split: x");
  undefined([&] { split(none, {1}); }, "split: x");
  undefined([&] { concat({x, none}); }, "concat: tensors[1]");
  undefined([&] { stack({none, x}); }, "stack: tensors[0]");
  undefined([&] { cast(none, float64); }, "cast: x");
  undefined([&] { contiguous(none); }, "contiguous: x");
  undefined([&] { clone(none); }, "clone: x");
}

TEST_CASE("pad surrounds with a value, and crops where amounts are negative") {
  const Tensor x = counting({2, 2});
  CHECK(same(pad(x, {{1, 0}, {0, 1}}, 9), tensor({{9, 9, 9}, {0, 1, 9}, {2, 3, 9}}, float64)));
  CHECK(same(pad(x, {{-1, 1}}, 7), tensor({{1, 7}, {3, 7}}, float64)));  // the last dimension
  CHECK(shares_memory(pad(x, {{-1, 0}, {0, 0}}), x));
  CHECK(same(pad(x, {{-3, 4}, {0, 0}}, 5), full({3, 2}, 5, float64)));  // nothing of x is left
  CHECK(pad(x, {{-1, -1}, {0, 0}}).shape() == Shape(0, 2));
  const auto refuses = [](const Tensor& t, double value) {
    CHECK_THROWS_MATCHES(
        pad(t, {{1, 0}}, value), DtypeError,
        MessageContains("pad: the value does not fit the tensor's dtype.", std::string(name_of(t.dtype())), "fix"));
  };
  refuses(zeros({2}, int64), .5);
  refuses(zeros({2}, int64), 0x1p63);
  refuses(zeros({2}, int64), kNaN);
  for (const double value : {-1., 256., .5}) refuses(zeros({2}, uint8), value);
  refuses(zeros({2}, boolean), 2);
  refuses(zeros({2}), 1e300);
  CHECK(pad(zeros({1}, uint8), {{1, 0}}, 255).at({0}) == 255);
  CHECK(pad(zeros({1}, int64), {{1, 0}}, -0x1p63).at({0}) == -0x1p63);
  CHECK(pad(zeros({1}), {{1, 0}}, -kInfinity).at({0}) == -kInfinity);
  CHECK_THROWS_MATCHES(pad(x, {{-2, -1}, {0, 0}}), ShapeError,
                       MessageContains("pad", "dimension 0", "before -2, after -1"));
  CHECK_THROWS_MATCHES(pad(x, {{0, 0}, {0, 0}, {0, 0}}), ShapeError, MessageContains("at most 2", "got 3"));
  CHECK_THROWS_AS(pad(x, {{std::int64_t{1} << 62, std::int64_t{1} << 62}}), ShapeError);
}

TEST_CASE("cast converts, and gradients are converted back") {
  Tensor x = leaf(tensor({1.5, -2.5}, float32));
  sum(cast(x, float64) * 3.).backward();
  CHECK(x.grad().dtype() == float32);
  CHECK(same(x.grad(), full({2}, 3)));
  CHECK(cast(x, int64).stop_gradient());
  CHECK(same(cast(x, int64), tensor({1, -2})));
  CHECK(cast(x, float32).is_same(x));
}

TEST_CASE("clone and contiguous keep values, and gradients flow through") {
  const Tensor x = leaf(counting({1, 2, 2, 2}));
  const Tensor y = contiguous(x, MemoryFormat::channels_last);
  CHECK(y.is_contiguous(MemoryFormat::channels_last));
  CHECK(same(y, x));
  CHECK(contiguous(x).is_same(x));
  CHECK_FALSE(shares_memory(clone(x), x));
  sum(clone(y) * 2.).backward();
  CHECK(same(x.grad(), full(x.shape(), 2, float64)));
  CHECK(contiguous(counting({2, 2}), MemoryFormat::channels_last).is_contiguous());  // other ranks have one order
}

TEST_CASE("ops that move elements have right derivatives to second order") {
  const Tensor x = spread_values({2, 3, 2}, 1);
  CHECK_THAT(check_squared([](const Tensor& t) { return reshape(t, {3, 4}); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return reshape(transpose(t, 0, 2), {12}); }, x), GradsAgree());
  CHECK_THAT(check_squared(
                 [](const Tensor& t) {
                   return permute(t, {2, 0, -2}) * spread_values({2, 2, 3}, 2);
                 },
                 x),
             GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return expand(slice(t, 1, 0, 1), {2, 2, 4, 2}); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return sum_to(t, {3, 1}); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return slice(t, 1, 0, 3, 2); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return select(t, -2, -1); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return squeeze(unsqueeze(t, 2), 2); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return concat({t, t * 2., slice(t, 1, 1, 2)}, 1); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return stack({t, t * t}, 1); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return split(t, {1, 2}, 1)[1]; }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return pad(t, {{1, 0}, {-1, 2}, {0, 1}}, 3); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return pad(t, {{-1, 0}, {0, -1}, {0, 0}}); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return flatten(clone(t), 1); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return contiguous(transpose(t, 0, 1)); }, x), GradsAgree());
}

TEST_CASE("axes, starts, stops and indices from the back have the derivatives of the same ones from the front") {
  const Tensor x = spread_values({4, 5}, 3);
  struct Slice {
    std::int64_t start, stop, step;
  };
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(), kMax = -(kMin + 1);
  for (const Slice& s :
       {Slice{-3, 5, 1}, {-7, -2, 1}, {-7, -2, 2}, {kMin, kMax, 3}, {-1, kMax, kMax}, {1, -1, 1}, {3, -4, 1}}) {
    CAPTURE(s.start, s.stop, s.step);
    for (const int axis : {1, -1}) {
      const auto f = [&](const Tensor& t) { return slice(t, axis, s.start, s.stop, s.step); };
      CHECK_THAT(check_squared(f, x), GradsAgree());
    }
  }
  Tensor line = arange(1, 6, 1, float64);
  line.set_stop_gradient(false);
  line.slice(0, -3, 5).sum().backward();
  CHECK(same(line.grad(), tensor({0, 0, 1, 1, 1}, float64)));
  CHECK_THAT(check_squared([](const Tensor& t) { return select(t, -1, -5); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return transpose(t, -1, -2); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return split(t, {2, 3}, -1)[1]; }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return unsqueeze(concat({t, t}, -2), -3); }, x), GradsAgree());
}

TEST_CASE("pad takes amounts as far as 64 bits go, and so do its derivatives") {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(), kMax = -(kMin + 1);
  const Tensor x = spread_values({3}, 4);
  CHECK(same(pad(x, {{kMin, kMax}}, 7), full({2}, 7, float64)));
  CHECK(same(pad(x, {{-kMax, kMax}}, 7), full({3}, 7, float64)));
  CHECK(pad(x, {{4, -7}}, 7).shape() == Shape(0));
  CHECK_THAT(check_squared([](const Tensor& t) { return pad(t, {{kMin, kMax}}, 2) * sum(t); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return pad(t, {{-kMax, kMax}}, 2) * sum(t); }, x), GradsAgree());
  CHECK_THAT(check_squared([](const Tensor& t) { return pad(t, {{2, -3}}, 2) * sum(t); }, x), GradsAgree());
  CHECK_THROWS_AS(pad(x, {{kMax, 1}}), ShapeError);
  CHECK_THROWS_AS(pad(x, {{kMin, 1}}), ShapeError);
}

TEST_CASE("split cuts nothing into many sections, but not into more than memory has room for") {
  CHECK(split(zeros({0}), 5).size() == 5);
  CHECK_THROWS_MATCHES(split(zeros({0}), std::int64_t{1} << 40), ShapeError,
                       MessageContains("split", "divides 0", "1099511627776"));
  CHECK_THROWS_AS(split(zeros({0}), -1), ShapeError);
}

TEST_CASE("a number has no axes but 0 and -1") {
  const Tensor x = tensor(5.);
  CHECK(flatten(x, -1, 0).shape() == Shape(1));
  CHECK_THROWS_AS(flatten(x, 0, 1), ShapeError);
  CHECK_THROWS_MATCHES(slice(x, 0, 0, 1), ShapeError, MessageContains("slice", "rank 0", "fix"));
  CHECK_THROWS_MATCHES(select(x, -1, 0), ShapeError, MessageContains("select", "rank 0", "fix"));
}

TEST_CASE("a view is refused whose bytes could not be counted") {
  CHECK_THROWS_AS(expand(tensor(1., float64), {std::int64_t{1} << 61}), ShapeError);
  CHECK(expand(tensor(1., float64), {std::int64_t{1} << 40}).num_bytes() == std::int64_t{1} << 43);
}

TEST_CASE("split and stack without memory are OutOfMemory") {
  const Tensor x = ones({6, 2});
  const std::int64_t sizes[] = {1, 2, 3};
  const Tensor parts[] = {x, x, x};
  const auto ignored = [](std::int64_t, bool) {};
  CHECK(dygrad::testing::for_each_failing_allocation([&] { (void)split(x, sizes, 0); }, ignored) > 0);
  CHECK(dygrad::testing::for_each_failing_allocation([&] { (void)split(x, 3, 0); }, ignored) > 0);
  CHECK(dygrad::testing::for_each_failing_allocation([&] { (void)stack(parts, 0); }, ignored) > 0);
}

TEST_CASE("errors about shapes name the op and what is wrong") {
  const Tensor scalar = ones({}), full_rank = ones({1, 1, 1, 1, 1, 1});
  REQUIRE(full_rank.rank() == kMaxRank);
  CHECK_THROWS_MATCHES(expand(scalar, {-9}), ShapeError, MessageContains("expand: negative extent"));
  CHECK_THROWS_MATCHES(unsqueeze(full_rank, 0), ShapeError, MessageContains("unsqueeze: ", "rank at most 6, got 7"));
  CHECK_THROWS_MATCHES(stack(std::span(&full_rank, 1), 0), ShapeError, MessageContains("stack: ", "rank at most 6"));
  CHECK_THROWS_MATCHES(squeeze(scalar, 0), ShapeError, MessageContains("squeeze: a tensor of rank 0 has no dimension"));
  CHECK_THROWS_MATCHES(split(scalar, 2, 0), ShapeError, MessageContains("split: a tensor of rank 0 has no dimension"));
  CHECK_THROWS_MATCHES(reshape(ones({2}), {-1, -1}), ShapeError,
                       MessageContains("none less.\n", "x [2]\n  got [-1, -1]"));
}
