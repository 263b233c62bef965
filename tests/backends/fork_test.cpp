// A forked child computes what its parent computes, by every backend.
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/child_process.h>

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Whole numbers: the same on any number of threads.
std::vector<std::vector<double>> compute_all() {
  const Tensor x = random_integers({2, 16, 24, 24}, float32, 1).set_stop_gradient(false);
  const Tensor w = random_integers({16, 16, 3, 3}, float32, 2).set_stop_gradient(false);
  const Tensor product = matmul(x.reshape({64, 288}), x.reshape({288, 64}));
  const Tensor image = conv2d(x, w, {}, {.padding = 1});
  const std::vector<Tensor> grads = grad({image.sum() + product.sum()}, {x, w});
  return {product.to_vector<double>(), image.to_vector<double>(), grads[0].to_vector<double>(),
          grads[1].to_vector<double>()};
}

}  // namespace

TEST_CASE("a forked child computes by every backend what its two-threaded parent did") {
  const int before = num_threads();
  set_num_threads(2);
  for (const std::string_view name : backend_names()) {
    INFO("backend " << name);
    const ExecutionGuard direct({.math_mode = MathMode::strict});
    const BackendGuard guard(name);
    const auto expected = compute_all();
    CHECK(exit_status_of_child([&] { return compute_all() == expected ? 0 : 1; }) == 0);
    CHECK(compute_all() == expected);
  }
  set_num_threads(before);
}

#endif
