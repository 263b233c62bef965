// What an op costs besides its arithmetic: one-element tensors, recorded or not, and the way back through the tape.
#include <dygrad/dygrad.h>

#include <dygrad/tests/bench/support/overhead.h>
#include <dygrad/tests/bench/support/program.h>

using namespace dygrad;
using namespace dygrad::bench;

namespace {

/// An op without arithmetic: what its chain costs on the way back is the engine's own.
struct NoOp {
  static constexpr std::string_view name = "no_op";
  Tensor forward(const Tensor& x) const { return x; }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};

Tensor leaf() { return full({1}, 1).set_stop_gradient(false); }

/// kOps calls of f(a, b), each forgotten at once, or each followed by its backward.
template <class F>
void add_single(std::vector<Case>& cases, const std::string& op, F f) {
  const auto repeat = [&](const std::string& word, auto body) {
    cases.push_back({op + "/" + word, [=] {
                       return Ready{[=, a = leaf(), b = leaf()]() mutable {
                         for (int i = 0; i < kOps; ++i) body(a, b);
                       }};
                     }});
  };
  repeat("unrecorded", [f](Tensor& a, Tensor& b) {
    const NoGrad guard;
    f(a, b);
  });
  repeat("recorded", [f](Tensor& a, Tensor& b) { f(a, b); });
  repeat("step", [f](Tensor& a, Tensor& b) {
    f(a, b).backward();
    a.clear_gradient();
    b.clear_gradient();
  });
}

/// kOps calls of f, each on the result of the one before, and then one backward through all of them.
template <class F>
void add_chain(std::vector<Case>& cases, const std::string& op, F f) {
  const auto chain = [f](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < kOps; ++i) y = f(y);
    return y;
  };
  cases.push_back({op + "/recorded", [=] { return Ready{[=, x = leaf()] { chain(x); }}; }});
  cases.push_back({op + "/step", [=] {
                     return Ready{[=, x = leaf()]() mutable {
                       chain(x).backward();
                       x.clear_gradient();
                     }};
                   }});
}

}  // namespace

int main(int argc, char** argv) {
  Program program("overhead", "dygrad", "Times ops on one-element tensors: nanoseconds an op.");
  program.parse(argc, argv);
  set_num_threads(program.threads());
  std::vector<Case> cases;
  add_single(cases, "add", [](const Tensor& a, const Tensor& b) { return a + b; });
  add_single(cases, "mul", [](const Tensor& a, const Tensor& b) { return a * b; });
  add_chain(cases, "add_chain", [c = full({1}, 1)](const Tensor& x) { return x + c; });
  add_chain(cases, "mul_chain", [c = full({1}, 1)](const Tensor& x) { return x * c; });
  add_chain(cases, "no_op_chain", [](const Tensor& x) { return apply(NoOp{}, x); });
  return run_overhead(program, cases);
}
