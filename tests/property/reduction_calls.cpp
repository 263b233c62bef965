// Reductions, softmax and its logarithm.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

/// The elements behind each result: result index -> list of values in row-major order.
struct Groups {
  Shape kept, result;
  std::vector<std::vector<Real>> of;
};

Groups group(const Values& x, const std::vector<bool>& reduced, bool keepdim) {
  Groups groups{x.shape, {}, {}};
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (reduced[static_cast<std::size_t>(i)]) groups.kept[i] = 1;
    if (!reduced[static_cast<std::size_t>(i)] || keepdim) groups.result.push_back(groups.kept[i]);
  }
  groups.of.resize(static_cast<std::size_t>(plain_count(groups.kept)));
  for_each_index(x.shape, [&](Dims index) {
    const Real v = x(index);
    for (int i = 0; i < index.rank(); ++i) index[i] = reduced[static_cast<std::size_t>(i)] ? 0 : index[i];
    groups.of[static_cast<std::size_t>(place_in(groups.kept, index))].push_back(v);
  });
  return groups;
}

Sum total(const std::vector<Real>& v) {
  Sum sum;
  for (Real term : v) sum.add(term);
  return sum;
}

/// Axes that may repeat, or not exist; the second is empty if they do.
std::pair<Axes, std::vector<bool>> random_axes(Random& random, int rank) {
  Axes axes;
  std::vector<bool> reduced(static_cast<std::size_t>(rank));
  const std::int64_t count = random.one_in(3) ? 0 : random.between(1, std::max(rank, 1));
  bool is_valid = true;
  bool seen_number = false;
  for (std::int64_t i = 0; i < count; ++i) {
    int given = random.axis(rank);
    int axis = plain_axis(given, rank, true);
    const auto is_taken = [&] {
      return axis >= 0 && (rank == 0 ? seen_number : reduced[static_cast<std::size_t>(axis)]);
    };
    if (is_taken() && !random.one_in(10)) continue;
    axes.push_back(given);
    if (axis < 0 || is_taken()) is_valid = false;
    else if (rank == 0) seen_number = true;
    else reduced[static_cast<std::size_t>(axis)] = true;
  }
  if (axes.empty()) std::fill(reduced.begin(), reduced.end(), true);
  if (!is_valid) return {axes, {true, true, true, true, true, true, true}};  // more than any rank
  return {axes, reduced};
}

Call reduce_call(Random& random) {
  Call call;
  const DType dtype = random.one_in(6) ? random_dtype(random) : random_float(random);
  const Shape shape = random.shape();
  call.inputs = {random_tensor(random, shape, dtype)};
  call.dtype = dtype;
  call.has_gradients = true;
  call.units = 96;
  const auto [axes, reduced] = random_axes(random, shape.rank());
  const bool keepdim = random.one_in(2);
  const int correction = random.one_in(8) ? random.wild_int(-3, 9) : 1;
  const std::int64_t kind = random.below(6);
  constexpr const char* kNames[] = {"sum", "mean", "max", "min", "var", "logsumexp"};
  call.text = fmt::format("{} axes {} keepdim {} correction {}", kNames[kind], axes, keepdim, correction);
  call.run = [=, list = axes](auto in) {
    switch (kind) {
      case 0: return sum(in[0], list, keepdim);
      case 1: return mean(in[0], list, keepdim);
      case 2: return max(in[0], list, keepdim);
      case 3: return min(in[0], list, keepdim);
      case 4: return var(in[0], list, keepdim, correction);
      default: return logsumexp(in[0], list, keepdim);
    }
  };
  if (reduced.size() > kMaxRank) return call;
  if (!is_floating(dtype) && (kind != 0 || dtype == uint8)) {
    call.is_unclear = kind == 0;
    return call;
  }
  if (kind == 0 && !is_floating(dtype)) {
    call.dtype = int64;
    call.units = 0;
    call.has_gradients = false;
  }
  const Groups groups = group(read(call.inputs[0]), reduced, keepdim);
  const bool is_empty = std::ranges::any_of(groups.of, [](const auto& v) { return v.empty(); });
  if (is_empty && (kind == 2 || kind == 3)) return call;
  if (plain_count(shape) == 0 && (kind == 2 || kind == 3)) {
    // No result to choose for: whether the reduced extents are empty decides.
    std::int64_t behind = 1;
    for (int i = 0; i < shape.rank(); ++i) behind *= reduced[static_cast<std::size_t>(i)] ? shape[i] : 1;
    if (behind == 0) return call;
  }
  Values values{groups.result, {}};
  for (const std::vector<Real>& v : groups.of) {
    const Real n = static_cast<Real>(v.size()), infinity = std::numeric_limits<Real>::infinity();
    Sum sum = total(v);
    switch (kind) {
      case 0: break;
      case 1: sum = {sum.value / n, sum.size / n}; break;
      case 2: sum.value = *std::ranges::max_element(v); break;
      case 3: sum.value = *std::ranges::min_element(v); break;
      case 4: {
        const Real mean = sum.value / n, typical = sum.size / n, freedom = std::max<Real>(n - correction, 0);
        Sum squares;
        for (Real each : v) squares.add((each - mean) * (each - mean));
        sum = {squares.value / freedom, (squares.value + typical * typical) / freedom};
        if (v.empty() || freedom == 0) sum.size = infinity;  // 0 / 0, or infinity
        if (freedom == 0) sum.value = std::nanl("");
        break;
      }
      default: {
        if (v.empty()) {
          sum.value = -infinity;
          break;
        }
        const Real top = *std::ranges::max_element(v);
        Real exps = 0;
        for (Real each : v) exps += std::exp(each - top);
        sum = {top + std::log(exps), std::fabs(top) + 1};
      }
    }
    values.at.push_back(sum.value);
    values.size.push_back(sum.size);
  }
  call.expected = values;
  // Variances without a degree of freedom are NaN or infinite, by rounding; differences of ties are no derivatives.
  if (kind == 4 && !groups.of.empty() && std::ssize(groups.of[0]) - correction <= 0) {
    call.shape = groups.result;
    call.is_smooth = false;
  }
  if (is_empty) call.is_smooth = false;
  return call;
}

Call arg_call(Random& random) {
  Call call;
  const DType dtype = random.one_in(4) ? random_dtype(random) : random_float(random);
  const Shape shape = random.shape();
  call.inputs = {random_tensor(random, shape, dtype)};
  call.dtype = int64;
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank(), true);
  const bool keepdim = random.one_in(2), largest = random.one_in(2);
  call.text = fmt::format("{} axis {} keepdim {}", largest ? "argmax" : "argmin", given, keepdim);
  call.run = [=](auto in) { return largest ? argmax(in[0], given, keepdim) : argmin(in[0], given, keepdim); };
  if (axis < 0 || (shape.rank() > 0 && shape[axis] == 0) || dtype == boolean) return call;
  std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()));
  if (shape.rank() > 0) reduced[static_cast<std::size_t>(axis)] = true;
  const Groups groups = group(read(call.inputs[0]), reduced, keepdim);
  Values values{groups.result, {}};
  for (const auto& v : groups.of) {
    const auto best = largest ? std::ranges::max_element(v) : std::ranges::min_element(v);
    values.at.push_back(static_cast<Real>(best - v.begin()));
  }
  call.expected = values;
  return call;
}

Call flags_call(Random& random) {
  Call call;
  const DType dtype = random.one_in(8) ? random_dtype(random) : boolean;
  const Shape shape = random.shape();
  const bool is_any = random.one_in(2);
  call.inputs = {random_tensor(random, shape, dtype)};
  call.dtype = boolean;
  call.text = is_any ? "any" : "all";
  call.run = [=](auto in) { return full({}, is_any ? any(in[0]) : all(in[0]), boolean); };
  if (dtype != boolean) return call;
  const Values x = read(call.inputs[0]);
  const auto is_true = [](Real v) { return v != 0; };
  call.expected =
      Values{{}, {static_cast<Real>(is_any ? std::ranges::any_of(x.at, is_true) : std::ranges::all_of(x.at, is_true))}};
  return call;
}

Call softmax_call(Random& random) {
  Call call;
  call.dtype = random.one_in(20) ? random_dtype(random) : random_float(random);
  const Shape shape = random.shape();
  call.inputs = {random_tensor(random, shape, call.dtype)};
  call.has_gradients = true;
  call.units = 64;
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank(), true);
  const bool logs = random.one_in(2);
  call.text = fmt::format("{} axis {}", logs ? "log_softmax" : "softmax", given);
  call.run = [=](auto in) { return logs ? log_softmax(in[0], given) : softmax(in[0], given); };
  if (axis < 0 || !is_floating(call.dtype)) return call;
  const Values x = read(call.inputs[0]);
  call.expected = make_values(shape, [&](Dims at) {
    const Real own = x(at);
    Real exps = 0;
    for (std::int64_t i = 0; shape.rank() > 0 && i < shape[axis]; ++i) {
      at[axis] = i;
      exps += std::exp(x(at) - own);
    }
    if (shape.rank() == 0) exps = 1;
    return logs ? -std::log(exps) : 1 / exps;
  });
  for (Real v : call.expected->at) call.expected->size.push_back(logs ? std::fabs(v) + 8 : v);
  return call;
}

}  // namespace

Call reduction_call(Random& random) {
  constexpr MakeCall kAll[] = {reduce_call, reduce_call, reduce_call, arg_call, flags_call, softmax_call, softmax_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
