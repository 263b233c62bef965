#include <dygrad/layers/init/initializer.h>

#include <mutex>

namespace dygrad {

namespace {
struct Defaults {
  std::mutex mutex;
  Initializer weight, bias;
};
Defaults& defaults() {
  static auto* const instance = new Defaults;  // never destroyed: layers may be made while statics go
  return *instance;
}
}  // namespace

void set_global_initializer(Initializer weight, Initializer bias) {
  Defaults& d = defaults();
  const std::scoped_lock lock(d.mutex);
  d.weight = std::move(weight);
  d.bias = std::move(bias);
}

Initializer detail::global_initializer(bool is_bias) {
  Defaults& d = defaults();
  const std::scoped_lock lock(d.mutex);
  return is_bias ? d.bias : d.weight;
}

}  // namespace dygrad
