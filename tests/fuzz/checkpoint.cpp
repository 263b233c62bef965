// Bytes as a checkpoint of a small model and its optimizer: it fits, or it changes nothing.
#include <dygrad/layers/checkpoint.h>

#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/base/naming.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>

#include "support/tensors.h"

using namespace dygrad;
using namespace dygrad::fuzz;

namespace {

struct Run {
  Linear model{{.input_dim = 2, .output_dim = 1}};
  Adam adam{model.parameters(), {.learning_rate = 0.01}};
  void train() {
    model.clear_gradients();
    model(ones({1, 2})).sum().backward();
    adam.step();
  }
  NamedTensors state() const {
    NamedTensors all = model.state_dict().clone().entries();
    for (const auto& entry : adam.state_dict().clone()) all.push_back(entry);
    return all;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const MemoryFile file(data, num_bytes);
  const UniqueNameGuard names;
  Run run;
  run.train();
  const NamedTensors before = run.state();
  if (throws_error([&] { (void)load_checkpoint(file.path(), run.model, run.adam, {.max_bytes = kMaxBytes}); })) {
    require_equal(before, run.state());
    return 0;
  }
  const NamedTensors loaded = run.state();
  save_checkpoint(scratch_file("run"), run.model, run.adam);
  throws_error([&] { run.train(); });
  (void)load_checkpoint(scratch_file("run"), run.model, run.adam);
  require_equal(loaded, run.state());
  return 0;
}
