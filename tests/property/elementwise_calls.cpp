// Arithmetic, elementary functions, comparisons, where, clip.
#include <fmt/format.h>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

struct UnaryCase {
  const char* name;
  Tensor (*run)(const Tensor&);
  Real (*plain)(Real);
  Domain domain = Domain::any;
  double units = 4;
};

const UnaryCase kUnary[] = {
    {"exp", exp, [](Real v) { return std::exp(v); }},
    {"log", log, [](Real v) { return std::log(v); }, Domain::above_one},
    {"log1p", log1p, [](Real v) { return std::log1p(v); }, Domain::positive},
    {"expm1", expm1, [](Real v) { return std::expm1(v); }},
    {"sqrt", sqrt, [](Real v) { return std::sqrt(v); }, Domain::positive},
    {"rsqrt", rsqrt, [](Real v) { return 1 / std::sqrt(v); }, Domain::positive},
    {"square", square, [](Real v) { return v * v; }},
    {"reciprocal", reciprocal, [](Real v) { return 1 / v; }, Domain::positive},
    {"abs", abs, [](Real v) { return std::fabs(v); }},
    {"sign", sign, [](Real v) { return static_cast<Real>((v > 0) - (v < 0)); }},
    {"ceil", ceil, [](Real v) { return std::ceil(v); }},
    {"floor", floor, [](Real v) { return std::floor(v); }},
    {"round", round, [](Real v) { return std::round(v); }},
    {"erf", erf, [](Real v) { return std::erf(v); }},
    {"sin", sin, [](Real v) { return std::sin(v); }},
    {"cos", cos, [](Real v) { return std::cos(v); }},
    {"tan", tan, [](Real v) { return std::tan(v); }, Domain::unit},
    {"asin", asin, [](Real v) { return std::asin(v); }, Domain::unit},
    {"acos", acos, [](Real v) { return std::acos(v); }, Domain::unit},
    {"atan", atan, [](Real v) { return std::atan(v); }},
    {"sinh", sinh, [](Real v) { return std::sinh(v); }},
    {"cosh", cosh, [](Real v) { return std::cosh(v); }},
    {"tanh", tanh, [](Real v) { return std::tanh(v); }},
    {"asinh", asinh, [](Real v) { return std::asinh(v); }},
    {"acosh", acosh, [](Real v) { return std::acosh(v); }, Domain::above_one},
    {"atanh", atanh, [](Real v) { return std::atanh(v); }, Domain::unit},
};

/// A shape that `shape` mostly broadcasts with.
Shape partner(Random& random, const Shape& shape) {
  Shape other;
  const int skipped = random.one_in(3) ? static_cast<int>(random.below(shape.rank() + 1)) : 0;
  for (int i = skipped; i < shape.rank(); ++i)
    other.push_back(random.one_in(4) ? 1 : random.one_in(40) ? random.between(0, 3) : shape[i]);
  return other;
}

/// numpy's rule; nothing if they do not broadcast.
std::optional<Shape> common_shape(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result;
  for (int i = 0; i < rank; ++i) {
    const int in_a = i - (rank - a.rank()), in_b = i - (rank - b.rank());
    const std::int64_t m = in_a < 0 ? 1 : a[in_a], n = in_b < 0 ? 1 : b[in_b];
    if (m != n && m != 1 && n != 1) return std::nullopt;
    result.push_back(m == 1 ? n : m);
  }
  return result;
}

Real at_broadcast(const Values& x, const Dims& index) {
  Dims own = x.shape;
  for (int i = 0; i < own.rank(); ++i) own[i] = x.shape[i] == 1 ? 0 : index[index.rank() - own.rank() + i];
  return x(own);
}

Real wrapped(Real v, DType dtype) {
  return dtype == uint8 ? static_cast<Real>(static_cast<std::uint8_t>(static_cast<std::int64_t>(v))) : v;
}

Call unary_call(Random& random) {
  const UnaryCase& which = kUnary[random.below(std::ssize(kUnary))];
  const DType dtype = random.one_in(20) ? random_dtype(random) : random_float(random);
  const Tensor x = random_tensor(random, random.shape(), dtype, which.domain);
  Call call{.text = which.name, .inputs = {x}, .run = [f = which.run](auto in) { return f(in[0]); }};
  call.dtype = dtype;
  call.units = which.units;
  call.has_gradients = true;
  call.domains = {which.domain};
  if (is_floating(dtype)) {
    const Values values = read(x);
    call.expected = make_values(x.shape(), [&](const Dims& i) { return which.plain(values(i)); });
  }
  return call;
}

struct BinaryCase {
  const char* name;
  Tensor (*run)(const Tensor&, const Tensor&);
  Real (*plain)(Real, Real);
  bool is_comparison = false;
  bool takes_integers = true;
};

const BinaryCase kBinary[] = {
    {"add", add, [](Real a, Real b) { return a + b; }},
    {"sub", sub, [](Real a, Real b) { return a - b; }},
    {"mul", mul, [](Real a, Real b) { return a * b; }},
    {"div", div, [](Real a, Real b) { return a / b; }, false, false},
    {"pow", pow, [](Real a, Real b) { return std::pow(a, b); }, false, false},
    {"maximum", maximum, [](Real a, Real b) { return std::max(a, b); }},
    {"minimum", minimum, [](Real a, Real b) { return std::min(a, b); }},
    {"equal", equal, [](Real a, Real b) { return Real(a == b); }, true},
    {"not_equal", not_equal, [](Real a, Real b) { return Real(a != b); }, true},
    {"less", less, [](Real a, Real b) { return Real(a < b); }, true},
    {"less_equal", less_equal, [](Real a, Real b) { return Real(a <= b); }, true},
    {"greater", greater, [](Real a, Real b) { return Real(a > b); }, true},
    {"greater_equal", greater_equal, [](Real a, Real b) { return Real(a >= b); }, true},
};

Call binary_call(Random& random) {
  const BinaryCase& which = kBinary[random.below(std::ssize(kBinary))];
  const DType dtype = random_dtype(random), other = random.one_in(24) ? random_dtype(random) : dtype;
  const Domain domain = which.takes_integers ? Domain::any : Domain::positive;
  Shape shape_a = random.shape(), shape_b = partner(random, shape_a);
  if (random.one_in(2)) std::swap(shape_a, shape_b);
  const Tensor a = random_tensor(random, shape_a, dtype, domain), b = random_tensor(random, shape_b, other, domain);
  Call call{.text = which.name, .inputs = {a, b}, .run = [f = which.run](auto in) { return f(in[0], in[1]); }};
  call.dtype = which.is_comparison ? boolean : dtype;
  call.units = is_floating(call.dtype) ? 8 : 0;
  call.has_gradients = is_floating(call.dtype);
  call.domains = {domain, domain};
  const auto shape = common_shape(shape_a, shape_b);
  const bool fits = is_floating(dtype) || which.is_comparison || (which.takes_integers && dtype != boolean);
  if (shape && dtype == other && fits) {
    const Values u = read(a), v = read(b);
    call.expected = make_values(*shape, [&](const Dims& i) {
      return wrapped(which.plain(at_broadcast(u, i), at_broadcast(v, i)), call.dtype);
    });
  }
  return call;
}

Call where_call(Random& random) {
  const DType dtype = random_dtype(random), other = random.one_in(24) ? random_dtype(random) : dtype;
  const Shape shape = random.shape();
  const Tensor condition = random_tensor(random, partner(random, shape), random.one_in(24) ? dtype : boolean);
  const Tensor a = random_tensor(random, shape, dtype), b = random_tensor(random, partner(random, shape), other);
  Call call{.text = "where", .inputs = {condition, a, b}, .run = [](auto in) { return where(in[0], in[1], in[2]); }};
  call.dtype = dtype;
  call.has_gradients = is_floating(dtype) && condition.dtype() == boolean;
  const auto inner = common_shape(a.shape(), b.shape());
  const auto outer = inner ? common_shape(condition.shape(), *inner) : std::nullopt;
  if (outer && dtype == other && condition.dtype() == boolean) {
    const Values c = read(condition), u = read(a), v = read(b);
    call.expected = make_values(
        *outer, [&](const Dims& i) { return at_broadcast(c, i) != 0 ? at_broadcast(u, i) : at_broadcast(v, i); });
  }
  return call;
}

Call scalar_call(Random& random) {
  const DType dtype = random_float(random);
  const double number = static_cast<double>(random.between(-24, 24)) / 8,
               high = number + random.pick({0., 1., -1., 2.});
  const Tensor x = random_tensor(random, random.shape(), dtype, Domain::positive);
  const Values v = read(x);
  Call call{.text = "", .inputs = {x}, .run = {}};
  call.dtype = dtype;
  call.units = 16;
  call.has_gradients = true;
  call.domains = {Domain::positive};
  const auto set = [&](const char* name, std::function<Tensor(const Tensor&)> run, std::function<Real(Real)> plain) {
    call.text = fmt::format("{} {} {}", name, number, high);
    call.run = [run](auto in) { return run(in[0]); };
    call.expected = make_values(x.shape(), [&](const Dims& i) { return plain(v(i)); });
    call.expected->size.assign(call.expected->at.size(), 4);
    for (std::size_t i = 0; i < call.expected->at.size(); ++i)
      call.expected->size[i] += std::fabs(call.expected->at[i]);
  };
  const Real n = static_cast<Real>(number), h = static_cast<Real>(high);
  switch (random.below(8)) {
    case 0:
      set(
          "x + number", [=](const Tensor& t) { return t + number; }, [=](Real a) { return a + n; });
      break;
    case 1:
      set(
          "number - x", [=](const Tensor& t) { return number - t; }, [=](Real a) { return n - a; });
      break;
    case 2:
      set(
          "x * number", [=](const Tensor& t) { return t * number; }, [=](Real a) { return a * n; });
      break;
    case 3:
      set(
          "x / number", [=](const Tensor& t) { return t / (number + 9); }, [=](Real a) { return a / (n + 9); });
      break;
    case 4:
      set(
          "number / x", [=](const Tensor& t) { return number / t; }, [=](Real a) { return n / a; });
      break;
    case 5:
      set(
          "pow(x, number)", [=](const Tensor& t) { return pow(t, number); }, [=](Real a) { return std::pow(a, n); });
      break;
    case 6:
      set(
          "neg", [](const Tensor& t) { return -t; }, [](Real a) { return -a; });
      break;
    default:
      set(
          "clip", [=](const Tensor& t) { return clip(t, number, high); },
          [=](Real a) { return a < n   ? n
                               : a > h ? h
                                       : a; });
      if (high < number) call.expected.reset();
  }
  return call;
}

Call flag_call(Random& random) {
  const Shape shape = random.shape();
  const DType dtype = random.one_in(8) ? random_dtype(random) : boolean;
  const Tensor a = random_tensor(random, shape, dtype), b = random_tensor(random, partner(random, shape), dtype);
  const Values u = read(a), v = read(b);
  const auto common = common_shape(a.shape(), b.shape());
  Call call{.text = "", .inputs = {a, b}, .run = {}};
  call.dtype = boolean;
  const std::int64_t kind = random.below(4);
  if (kind < 2) {
    call.text = kind == 0 ? "logical_and" : "logical_or";
    call.run = [kind](auto in) { return kind == 0 ? logical_and(in[0], in[1]) : logical_or(in[0], in[1]); };
    if (common && dtype == boolean) {
      call.expected = make_values(*common, [&](const Dims& i) {
        const bool p = at_broadcast(u, i) != 0, q = at_broadcast(v, i) != 0;
        return kind == 0 ? p && q : p || q;
      });
    }
  } else if (kind == 2) {
    call.text = "logical_not";
    call.run = [](auto in) { return logical_not(in[0]); };
    if (dtype == boolean) call.expected = make_values(shape, [&](const Dims& i) { return u(i) == 0; });
  } else {
    call.text = "isfinite, isnan";
    call.run = [](auto in) { return logical_and(isfinite(in[0]), logical_not(isnan(in[0]))); };
    call.expected = make_values(shape, [&](const Dims&) { return true; });
    call.may_refuse = !is_floating(dtype);
  }
  return call;
}

}  // namespace

Call elementwise_call(Random& random) {
  switch (random.below(8)) {
    case 0: return where_call(random);
    case 1: return flag_call(random);
    case 2: return scalar_call(random);
    case 3:
    case 4: return unary_call(random);
    default: return binary_call(random);
  }
}

}  // namespace dygrad::testing
