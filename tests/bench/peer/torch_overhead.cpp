// libtorch's side of bench_overhead.
#include <torch/torch.h>

#include <dygrad/tests/bench/support/overhead.h>
#include <dygrad/tests/bench/support/program.h>

using namespace dygrad::bench;
using torch::Tensor;

namespace {

Tensor leaf() { return torch::ones({1}).requires_grad_(); }

template <class F>
void add_single(std::vector<Case>& cases, const std::string& op, F f) {
  const auto repeat = [&](const std::string& word, auto body) {
    cases.push_back({op + "/" + word, [=] {
                       return Ready{[=, a = leaf(), b = leaf()] {
                         for (int i = 0; i < kOps; ++i) body(a, b);
                       }};
                     }});
  };
  repeat("unrecorded", [f](const Tensor& a, const Tensor& b) {
    const torch::NoGradGuard guard;
    f(a, b);
  });
  repeat("recorded", [f](const Tensor& a, const Tensor& b) { f(a, b); });
  repeat("step", [f](const Tensor& a, const Tensor& b) {
    f(a, b).backward();
    a.mutable_grad().reset();
    b.mutable_grad().reset();
  });
}

template <class F>
void add_chain(std::vector<Case>& cases, const std::string& op, F f) {
  const auto chain = [f](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < kOps; ++i) y = f(y);
    return y;
  };
  cases.push_back({op + "/recorded", [=] { return Ready{[=, x = leaf()] { chain(x); }}; }});
  cases.push_back({op + "/step", [=] {
                     return Ready{[=, x = leaf()] {
                       chain(x).backward();
                       x.mutable_grad().reset();
                     }};
                   }});
}

}  // namespace

int main(int argc, char** argv) {
  Program program("overhead", "libtorch", "Times libtorch's ops on one-element tensors: nanoseconds an op.");
  program.parse(argc, argv);
  torch::set_num_threads(program.threads());
  program.facts["version"] = TORCH_VERSION;
  std::vector<Case> cases;
  add_single(cases, "add", [](const Tensor& a, const Tensor& b) { return a + b; });
  add_single(cases, "mul", [](const Tensor& a, const Tensor& b) { return a * b; });
  add_chain(cases, "add_chain", [c = torch::ones({1})](const Tensor& x) { return x + c; });
  add_chain(cases, "mul_chain", [c = torch::ones({1})](const Tensor& x) { return x * c; });
  return run_overhead(program, cases);
}
