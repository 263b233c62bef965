#include <dygrad/autograd/debug/check_grads.h>

#include <algorithm>
#include <cmath>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

/// A NaN without its sign, which says nothing.
double printed(double number) { return std::isnan(number) ? std::abs(number) : number; }

constexpr std::size_t kMaxReported = 20;

Tensor as_variable(Tensor x) { return x.set_stop_gradient(false); }

/// The values of x in memory where neighbours are two elements apart.
Tensor spread_out(const Tensor& x) {
  if (x.rank() == 0) return kernel::clone(x);
  Shape wide = x.shape();
  wide[wide.rank() - 1] *= 2;
  const Tensor room = zeros(wide, x.dtype());
  Tensor view = view::slice(room, -1, 0, wide.back(), 2);
  kernel::copy(x, view);
  return view;
}

std::vector<std::int64_t> coordinates(const Shape& shape, std::int64_t flat) {
  std::vector<std::int64_t> result(shape.size());
  for (int d = shape.rank() - 1; d >= 0; --d) {
    result[static_cast<std::size_t>(d)] = flat % shape[d];
    flat /= shape[d];
  }
  return result;
}

/// One function to check, with the names of its variables; of order n it is the gradient function of order n - 1.
struct Subject {
  DifferentiableFunction f;
  std::vector<Tensor> inputs;
  std::vector<std::string> names;
  int order = 1;

  Tensor value(std::span<const Tensor> at) const {
    const NoGrad guard;
    return kernel::contiguous(f(at).detach());
  }

  /// d<f, cotangent> / d(each input); zeros where f does not depend on it.
  std::vector<Tensor> gradients(std::span<const Tensor> at, const Tensor& cotangent) const {
    const EnableGrad guard;
    std::vector<Tensor> variables;
    for (const Tensor& x : at) variables.push_back(as_variable(view::alias(x)));
    const Tensor y = f(variables);
    std::vector<Tensor> result(variables.size());
    if (!y.stop_gradient()) {
      result = grad(std::span<const Tensor>(&y, 1), variables, {.grad_outputs = {cotangent}, .allow_unused = true});
    }
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = result[i].defined() ? kernel::contiguous(result[i]) : zeros(at[i].shape(), DType::float64);
    }
    return result;
  }

  /// (inputs, cotangent) -> all gradients in one row: the function whose gradients are the next order.
  Subject next(const Tensor& cotangent) const {
    Subject result;
    result.order = order + 1;
    result.inputs = inputs;
    result.inputs.push_back(cotangent);
    result.names = names;
    result.names.push_back(fmt::format("cotangent of order {}", order));
    result.f = [f = f](std::span<const Tensor> at) {
      const EnableGrad guard;
      const auto variables = at.first(at.size() - 1);
      std::vector<Tensor> leaves;
      for (const Tensor& x : variables) leaves.push_back(x.stop_gradient() ? as_variable(view::alias(x)) : x);
      const Tensor y = f(leaves);
      std::vector<Tensor> grads(leaves.size());
      if (!y.stop_gradient()) {
        grads = grad(std::span<const Tensor>(&y, 1), leaves,
                     {.grad_outputs = {at.back()}, .create_graph = true, .allow_unused = true});
      }
      std::vector<Tensor> rows;
      for (std::size_t i = 0; i < grads.size(); ++i) {
        rows.push_back(grads[i].defined() ? reshape(grads[i], {-1})
                                          : zeros({leaves[i].num_elements()}, DType::float64));
      }
      return concat(rows);
    };
    return result;
  }
};

class Checker {
 public:
  Checker(const CheckGradsOptions& options, CheckGradsReport& report)
      : options_(options), report_(report), generator_(options.seed) {}

  void check(const Subject& subject) {
    const Tensor cotangent = random_like(subject.value(subject.inputs));
    if (options_.full) check_jacobian(subject);
    else check_direction(subject, cotangent);
    if (subject.order < options_.order) check(subject.next(cotangent));
  }

 private:
  Tensor random_like(const Tensor& x) { return uniform(x.shape(), -1, 1, {DType::float64, &generator_}); }

  /// The function's change per unit along input i's flat element, for every output element.
  std::vector<double> numeric_column(const Subject& subject, std::size_t i, std::int64_t element) const {
    std::vector<Tensor> at = subject.inputs;
    at[i] = kernel::clone(at[i]);
    double& x = at[i].write<double>()[static_cast<std::size_t>(element)];
    const double middle = x;
    x = middle + options_.step;
    const std::vector<double> above = subject.value(at).to_vector<double>();
    x = middle - options_.step;
    std::vector<double> column = subject.value(at).to_vector<double>();
    for (std::size_t o = 0; o < column.size(); ++o) column[o] = (above[o] - column[o]) / (2 * options_.step);
    return column;
  }

  void check_jacobian(const Subject& subject) {
    std::vector<Tensor> spread;
    for (const Tensor& x : subject.inputs) spread.push_back(spread_out(x));
    const Tensor y = subject.value(subject.inputs);
    const auto outputs = static_cast<std::size_t>(y.num_elements());

    // Rows of the Jacobian by the chain rule, one output element at a time; the second set from strided inputs.
    std::vector<std::vector<Tensor>> rows(outputs), strided_rows(outputs);
    for (std::size_t o = 0; o < outputs; ++o) {
      Tensor unit = zeros(y.shape(), DType::float64);
      unit.write<double>()[o] = 1;
      rows[o] = subject.gradients(subject.inputs, unit);
      if (options_.non_contiguous) strided_rows[o] = subject.gradients(spread, unit);
    }
    for (std::size_t i = 0; i < subject.inputs.size(); ++i) {
      const Tensor& x = subject.inputs[i];
      for (std::int64_t e = 0; e < x.num_elements(); ++e) {
        const std::vector<double> numeric = numeric_column(subject, i, e);
        for (std::size_t o = 0; o < outputs; ++o) {
          const Place place{subject.names[i], coordinates(x.shape(), e),
                            coordinates(y.shape(), static_cast<std::int64_t>(o))};
          compare(subject, place, rows[o][i].data<double>()[e],
                  options_.non_contiguous ? strided_rows[o][i].data<double>() + e : nullptr, numeric[o]);
        }
      }
      note_missing(subject, i, rows);
    }
  }

  /// A derivative of higher order that is 0 everywhere, by finite differences not, was cut from the graph.
  void note_missing(const Subject& subject, std::size_t i, const std::vector<std::vector<Tensor>>& rows) {
    const auto is_zero = [](double v) { return v == 0; };
    const auto is_all_zero = [&](const std::vector<Tensor>& row) {
      return std::ranges::all_of(row[i].read<double>(), is_zero);
    };
    const auto is_of_input = [&](const GradMismatch& m) {
      return m.order == subject.order && m.input == subject.names[i];
    };
    if (subject.order > 1 && missing_.empty() && std::ranges::all_of(rows, is_all_zero) &&
        std::ranges::any_of(report_.mismatches, is_of_input)) {
      missing_ = fmt::format("order {} by {}", subject.order, subject.names[i]);
    }
  }

  void check_direction(const Subject& subject, const Tensor& cotangent) {
    std::vector<Tensor> above, below, spread, direction;
    for (const Tensor& x : subject.inputs) {
      direction.push_back(random_like(x));
      above.push_back(x.detach() + direction.back() * options_.step);
      below.push_back(x.detach() - direction.back() * options_.step);
      spread.push_back(spread_out(x));
    }
    const double numeric =
        (dot(subject.value(above), cotangent) - dot(subject.value(below), cotangent)) / (2 * options_.step);
    const auto along = [&](const std::vector<Tensor>& grads) {
      double total = 0;
      for (std::size_t i = 0; i < grads.size(); ++i) total += dot(grads[i], direction[i]);
      return total;
    };
    const double strided = options_.non_contiguous ? along(subject.gradients(spread, cotangent)) : 0;
    compare(subject, {"a random direction", {}, {}}, along(subject.gradients(subject.inputs, cotangent)),
            options_.non_contiguous ? &strided : nullptr, numeric);
  }

  static double dot(const Tensor& a, const Tensor& b) {
    const Tensor x = kernel::contiguous(a);
    const Tensor y = kernel::contiguous(b);
    double total = 0;
    for (std::int64_t i = 0; i < x.num_elements(); ++i) total += x.data<double>()[i] * y.data<double>()[i];
    return total;
  }

  struct Place {
    std::string input;
    std::vector<std::int64_t> element, output;
  };

  /// `strided` is the derivative from strided inputs, or null.
  void compare(const Subject& subject, Place place, double analytic, const double* strided, double numeric) {
    const bool agrees = compare(subject, place, analytic, numeric, /*lists=*/true);
    if (!strided) return;
    place.input += " (strided)";
    const bool is_the_same = is_close(analytic, *strided) || (std::isnan(analytic) && std::isnan(*strided));
    (void)compare(subject, place, *strided, numeric, /*lists=*/agrees || !is_the_same);
  }

  bool is_close(double analytic, double numeric) const {
    const double allowed = options_.absolute + options_.relative * std::max(std::abs(analytic), std::abs(numeric));
    return std::abs(analytic - numeric) <= allowed;
  }

  bool compare(const Subject& subject, const Place& place, double analytic, double numeric, bool lists) {
    ++report_.checked;
    const double error = std::abs(analytic - numeric);
    if (!std::isnan(report_.worst_error) && !(error <= report_.worst_error)) report_.worst_error = error;
    if (is_close(analytic, numeric)) return true;
    report_.ok = false;
    ++disagreements_;
    if (!lists) return false;
    if (report_.mismatches.size() < kMaxReported) {
      report_.mismatches.push_back({subject.order, place.input, place.element, place.output, analytic, numeric});
    } else {
      is_cut_short_ = true;
    }
    return false;
  }

 public:
  void write_text() {
    if (report_.ok) {
      report_.text = fmt::format("check_grads: {} derivatives up to order {} agree (worst error {:.2e}).",
                                 report_.checked, options_.order, report_.worst_error);
      return;
    }
    report_.text = fmt::format(
        "check_grads: {} of {} derivatives disagree (worst error {:.2e}).\n  {:<6}{:<32}{:<16}{:<16}{:>16}{:>16}{:>12}",
        disagreements_, report_.checked, report_.worst_error, "order", "input", "element", "of output", "analytic",
        "numeric", "error");
    for (const GradMismatch& m : report_.mismatches) {
      report_.text += fmt::format("\n  {:<6}{:<32}{:<16}{:<16}{:>16.8g}{:>16.8g}{:>12.2e}", m.order, m.input,
                                  to_string(Dims(m.element)), to_string(Dims(m.output)), printed(m.analytic),
                                  printed(m.numeric), std::abs(m.analytic - m.numeric));
    }
    if (is_cut_short_) report_.text += "\n  ...";
    if (!missing_.empty()) {
      report_.text += fmt::format(
          "\n  the derivative of {} is 0 everywhere: did the vjp leave the graph, through detach(), NoGrad, item() or "
          "raw memory?",
          missing_);
    }
    report_.text += "\n  fix: compare the op's vjp with its formula; at a kink or a jump no finite difference agrees";
  }

 private:
  const CheckGradsOptions& options_;
  CheckGradsReport& report_;
  Generator generator_;
  std::int64_t disagreements_ = 0;
  bool is_cut_short_ = false;
  std::string missing_;  // which derivative of higher order is 0 everywhere
};

}  // namespace

namespace {

void check_function(bool is_empty) {
  if (!is_empty) return;
  throw InvalidArgument(Message("check_grads", "there is no function to check.")
                            .expected("something to call")
                            .got("an empty std::function")
                            .fix("give a lambda or a function of tensors"));
}

void check_options(const CheckGradsOptions& options) {
  constexpr int kMaxOrder = 16;  // each multiplies the work
  if (options.order < 1 || options.order > kMaxOrder) {
    throw InvalidArgument(Message("check_grads", "the order is out of range.")
                              .expected("1 <= order <= {}", kMaxOrder)
                              .got("{}", options.order)
                              .fix("give 1 for gradients, 2 for gradients of gradients too"));
  }
  if (!(options.step > 0 && std::isfinite(options.step))) {
    throw InvalidArgument(Message("check_grads", "the step is out of range.")
                              .expected("step > 0, finite")
                              .got("{}", printed(options.step))
                              .fix("give a small step, such as 1e-5"));
  }
  const auto is_tolerance = [](double value) { return value >= 0 && std::isfinite(value); };
  if (!is_tolerance(options.absolute) || !is_tolerance(options.relative)) {
    throw InvalidArgument(Message("check_grads", "a tolerance is out of range.")
                              .expected("absolute and relative >= 0, finite")
                              .got("{} and {}", printed(options.absolute), printed(options.relative))
                              .fix("give what rounding and the finite difference allow, or 0"));
  }
}

CheckGradsReport run_checks(const DifferentiableFunction& f, std::span<const Tensor> inputs,
                            const CheckGradsOptions& options) {
  const auto as_user = [&f](std::span<const Tensor> at) { return detail::call_user([&] { return f(at); }); };
  Subject subject{.f = as_user, .inputs = {}, .names = {}};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dtype() != DType::float64) {
      throw DtypeError(Message("check_grads", "finite differences need double precision.")
                           .expected("inputs[{}] of float64", i)
                           .got("{}", inputs[i].dtype())
                           .fix("convert it: x.to(dygrad::float64)"));
    }
    subject.inputs.push_back(kernel::clone(inputs[i], MemoryFormat::row_major));
    subject.names.push_back(fmt::format("inputs[{}]", i));
  }
  CheckGradsReport report;
  Checker checker(options, report);
  checker.check(subject);
  checker.write_text();
  return report;
}

}  // namespace

CheckGradsReport check_grads(const DifferentiableFunction& f, std::span<const Tensor> inputs,
                             const CheckGradsOptions& options) {
  check_function(!f);
  check_options(options);
  return detail::with_out_of_memory("check_grads", [&] { return run_checks(f, inputs, options); });
}

CheckGradsReport check_grads(const std::function<Tensor(const Tensor&)>& f, const Tensor& x,
                             const CheckGradsOptions& options) {
  check_function(!f);
  return check_grads([&f](std::span<const Tensor> in) { return f(in[0]); }, std::span<const Tensor>(&x, 1), options);
}

CheckGradsReport check_grads(const std::function<Tensor(const Tensor&, const Tensor&)>& f, const Tensor& a,
                             const Tensor& b, const CheckGradsOptions& options) {
  check_function(!f);
  const Tensor inputs[] = {a, b};
  return check_grads([&f](std::span<const Tensor> in) { return f(in[0], in[1]); }, inputs, options);
}

}  // namespace dygrad
