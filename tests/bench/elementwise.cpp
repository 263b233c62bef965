// Elementwise ops and reductions on tensors that no cache holds, against a plain copy loop.
#include <dygrad/dygrad.h>

#include <exception>
#include <iostream>

#include <dygrad/tests/bench/support/calibration.h>
#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/streaming.h>

using namespace dygrad;
using namespace dygrad::bench;

namespace {

std::vector<Case> make_cases() {
  const Tensor x = uniform({kSide, kSide}, -1, 1), y = uniform({kSide, kSide}, -1, 1);
  const Tensor row = uniform({kSide}, -1, 1), column = uniform({kSide, 1}, -1, 1);
  const Tensor wide = uniform({kSide, 2 * kSide}, -1, 1);
  const Tensor left_half = wide.slice(1, 0, kSide), transposed = y.transpose(0, 1);
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, double arrays, auto f) {
    cases.push_back(streaming_case(name, arrays, [f] {
      const NoGrad guard;
      f();
    }));
  };
  add("clone", 2, [=] { x.clone(); });
  add("neg", 2, [=] { -x; });
  add("x + 1", 2, [=] { x + 1; });
  add("relu", 2, [=] { relu(x); });
  add("exp", 2, [=] { exp(x); });
  add("tanh", 2, [=] { tanh(x); });
  add("sigmoid", 2, [=] { sigmoid(x); });
  add("x + y", 3, [=] { x + y; });
  add("x * y", 3, [=] { x* y; });
  add("x + row", 2, [=] { x + row; });
  add("x + column", 2, [=] { x + column; });
  add("relu left half", 2, [=] { relu(left_half); });
  add("x + transposed", 3, [=] { x + transposed; });
  add("clone transposed", 2, [=] { transposed.contiguous(); });
  add("sum", 1, [=] { sum(x); });
  add("sum of rows", 1, [=] { sum(x, {1}); });
  add("sum of columns", 1, [=] { sum(x, {0}); });
  add("max", 1, [=] { max(x); });
  add("mean of rows", 1, [=] { mean(x, {1}); });
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  Program program("elementwise", "dygrad", "Times elementwise ops and reductions on 64 MiB tensors: bytes a second.");
  program.parse(argc, argv);
  try {
    set_num_threads(program.threads());
    return run_streaming(program, make_cases(), [&] {
      const Stream stream = time_stream(program.quick());
      return stream.bytes / stream.timing.median;
    });
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
