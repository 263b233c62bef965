#include <dygrad/layers/dropout.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/detail/generator_rollback.h>
#include <dygrad/layers/base/detail/options_check.h>

namespace dygrad {

Dropout::Dropout() : Dropout(detail::with_out_of_memory("Dropout", [] { return Options{}; })) {}

Dropout::Dropout(Options options) : options_(std::move(options)), generator_(options_.seed) {
  const detail::OptionsCheck check("Dropout");
  check.between("p", options_.p, 0, 1);
  const std::string& kind = options_.dropout_implementation;
  if (kind != "downgrade_in_infer" && kind != "upscale_in_train") {
    check.fail("dropout_implementation", "\"downgrade_in_infer\" or \"upscale_in_train\"", fmt::format("\"{}\"", kind));
  }
  if (options_.seed != 0) register_generator("generator", generator_);
}

Tensor Dropout::forward(const Tensor& x) {
  return with_name([&] {
    detail::check_defined("dropout", "x", x);
    const bool upscales = options_.dropout_implementation == "upscale_in_train";
    const double kept = 1 - options_.p;
    if (!training() || options_.is_test) return upscales ? x : x * kept;
    Generator& generator = options_.seed == 0 ? default_generator() : generator_;
    detail::GeneratorRollback draws(generator);
    const Tensor mask = bernoulli(x.shape(), kept, {.dtype = x.dtype(), .generator = &generator});
    Tensor y = kept > 0 ? x * mask : where(mask > 0, x, mask);  // not infinity times 0
    if (upscales && kept > 0) y = y * (1 / kept);
    draws.keep();
    return y;
  });
}

}  // namespace dygrad
