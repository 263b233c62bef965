// libtorch's side of bench_elementwise.
#include <torch/torch.h>

#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/streaming.h>

using namespace dygrad::bench;

namespace {

std::vector<Case> make_cases() {
  const auto x = torch::rand({kSide, kSide}) * 2 - 1, y = torch::rand({kSide, kSide}) * 2 - 1;
  const auto row = torch::rand({kSide}), column = torch::rand({kSide, 1});
  const auto wide = torch::rand({kSide, 2 * kSide}) * 2 - 1;
  const auto left_half = wide.narrow(1, 0, kSide), transposed = y.transpose(0, 1);
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, double arrays, auto f) {
    cases.push_back(streaming_case(name, arrays, [f] {
      const torch::NoGradGuard guard;
      f();
    }));
  };
  add("clone", 2, [=] { x.clone(); });
  add("neg", 2, [=] { x.neg(); });
  add("x + 1", 2, [=] { x.add(1); });
  add("relu", 2, [=] { x.relu(); });
  add("exp", 2, [=] { x.exp(); });
  add("tanh", 2, [=] { x.tanh(); });
  add("sigmoid", 2, [=] { x.sigmoid(); });
  add("x + y", 3, [=] { x.add(y); });
  add("x * y", 3, [=] { x.mul(y); });
  add("x + row", 2, [=] { x.add(row); });
  add("x + column", 2, [=] { x.add(column); });
  add("relu left half", 2, [=] { left_half.relu(); });
  add("x + transposed", 3, [=] { x.add(transposed); });
  add("clone transposed", 2, [=] { transposed.contiguous(); });
  add("sum", 1, [=] { x.sum(); });
  add("sum of rows", 1, [=] { x.sum(1); });
  add("sum of columns", 1, [=] { x.sum(0); });
  add("max", 1, [=] { x.max(); });
  add("mean of rows", 1, [=] { x.mean(1); });
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  Program program("elementwise", "libtorch", "Times libtorch's elementwise ops and reductions on 64 MiB tensors.");
  program.parse(argc, argv);
  torch::set_num_threads(program.threads());
  program.facts["version"] = TORCH_VERSION;
  auto from = torch::ones({kSide, kSide}), to = torch::ones({kSide, kSide});
  const auto copy_rate = [&] {
    return 2 * kTensorBytes /
           measure([&] { at::mul_out(to, from, from); }, {.seconds = 0.1, .warm_up = 0, .min_samples = 3}).median;
  };
  return run_streaming(program, make_cases(), copy_rate);
}
