#include <dygrad/layers/init/initializer.h>

#include <memory>
#include <mutex>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {
// Users' functions are copied and destroyed outside of the lock, as both may come back here.
struct Defaults {
  std::mutex mutex;
  std::shared_ptr<const Initializer> weight, bias;
};
Defaults& defaults() {
  static auto* const instance = new Defaults;  // never destroyed: layers may be made while statics go
  return *instance;
}
}  // namespace

void set_global_initializer(Initializer weight, Initializer bias) {
  detail::with_out_of_memory("set_global_initializer", [&] {
    Defaults& d = defaults();
    auto new_weight = std::make_shared<const Initializer>(std::move(weight));
    auto new_bias = std::make_shared<const Initializer>(std::move(bias));
    const std::scoped_lock lock(d.mutex);  // goes before those that it swaps out
    d.weight.swap(new_weight);
    d.bias.swap(new_bias);
  });
}

void detail::fail_empty_initializer() {
  throw InvalidArgument(Message("Initializer", "it is empty.")
                            .fix("make it of a rule, such as Normal, and use none that was moved from"));
}

Initializer detail::global_initializer(bool is_bias) {
  Defaults& d = defaults();
  std::shared_ptr<const Initializer> found;
  {
    const std::scoped_lock lock(d.mutex);
    found = is_bias ? d.bias : d.weight;
  }
  return found ? *found : Initializer();
}

}  // namespace dygrad
