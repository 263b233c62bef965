#include <dygrad/tests/accuracy/unary_table.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::testing {

namespace {

struct Named {
  std::string_view name;
  Tensor (*f)(const Tensor&);
};

Tensor (*function(std::string_view name))(const Tensor&) {
  static constexpr Named kOthers[] = {
      {"log1p", log1p},
      {"expm1", expm1},
      {"erf", erf},
      {"sinh", sinh},
      {"asinh", asinh},
      {"acosh", acosh},
      {"atanh", atanh},
      {"pow 1.5", [](const Tensor& x) { return pow(x, 1.5); }},
      {"pow 3", [](const Tensor& x) { return pow(x, 3); }},
      {"pow -1.5", [](const Tensor& x) { return pow(x, -1.5); }},
      {"swish", [](const Tensor& x) { return swish(x, 1.5); }},
      {"gelu_tanh", [](const Tensor& x) { return gelu(x, /*approximate=*/true); }},
  };
  const auto found = std::ranges::find(kOthers, name, &Named::name);
  return found != std::end(kOthers) ? found->f : activation(name);
}

std::vector<UnaryReference> read() {
  const std::string path = DYGRAD_TEST_DATA "/accuracy/unary.txt";
  std::ifstream in(path);
  if (!in) throw std::runtime_error("no " + path);
  std::vector<UnaryReference> references;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) {
      references.push_back({line.substr(2), function(line.substr(2)), {}});
      continue;
    }
    std::istringstream words(line);
    std::string word;
    words >> word;
    UnaryPoint point{std::strtod(word.c_str(), nullptr), {}};
    for (long double& number : point.exact) {
      words >> word;
      number = std::strtold(word.c_str(), nullptr);
    }
    references.back().points.push_back(point);
  }
  return references;
}

struct Format {
  int digits, lowest;  // the smallest number is 2^lowest
  double largest;
};
Format format(DType dtype) {
  if (dtype == float32) return {24, -149, static_cast<double>(std::numeric_limits<float>::max())};
  return {53, -1074, std::numeric_limits<double>::max()};
}

/// The distance of neighbouring numbers at y.
long double unit_at(long double y, const Format& f) {
  if (y == 0) return std::ldexp(1.0L, f.lowest);
  return std::ldexp(1.0L, std::max(std::ilogb(y) + 1 - f.digits, f.lowest));
}

}  // namespace

const std::vector<UnaryReference>& unary_references() {
  static const std::vector<UnaryReference> references = read();
  return references;
}

UnaryResults evaluate(const UnaryReference& reference, DType dtype) {
  UnaryResults results;
  std::vector<double> at;
  for (const UnaryPoint& point : reference.points) {
    if (dtype == float32 && !(static_cast<double>(static_cast<float>(point.x)) == point.x)) continue;
    results.points.push_back(&point);
    at.push_back(point.x);
  }
  const Tensor x = kernel::cast(from_vector(at), dtype).set_stop_gradient(false);
  const Tensor y = reference.f(x);
  const Tensor first = grad(sum(y), x, {.create_graph = true});
  const Tensor second = grad(sum(first), x);
  results.got = {y.to_vector<double>(), first.to_vector<double>(), second.to_vector<double>()};
  return results;
}

double error_in_units(const UnaryPoint& point, int order, double got, DType dtype) {
  const Format f = format(dtype);
  const long double exact = point.exact[static_cast<std::size_t>(order)];
  const long double slope = point.exact[static_cast<std::size_t>(order) + 1];
  const long double size = std::abs(exact);
  const bool x_is_infinite = std::isinf(point.x);
  if (std::isnan(got)) return std::numeric_limits<double>::infinity();
  if (size > f.largest || std::isinf(got)) {
    // The last numbers before infinity may be taken for it, and the other way round.
    const bool agrees =
        std::signbit(got) == std::signbit(exact) && size > 0.9999L * f.largest && std::abs(got) > 0.9999L * f.largest;
    return agrees ? 0 : std::numeric_limits<double>::infinity();
  }
  long double unit = unit_at(exact, f);
  if (!x_is_infinite) unit += std::abs(slope) * unit_at(point.x, f) / 2;
  if (size < std::ldexp(1.0L, f.lowest + f.digits) && !x_is_infinite) {
    unit += std::ldexp(1 + std::abs(static_cast<long double>(point.x)), f.lowest);
  }
  return static_cast<double>(std::abs(got - exact) / unit);
}

}  // namespace dygrad::testing
