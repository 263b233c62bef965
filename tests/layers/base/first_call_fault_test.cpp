// What calls make once for the whole process, such as registries, is asked for by the first call alone. So each sweep
// of failing allocations here runs in children of a process that has not made the call.
#include <dygrad/dygrad.h>
#include <dygrad/tests/support/child_process.h>
#include <dygrad/tests/support/fault_injection.h>

#include <functional>

#if defined(__unix__)

using namespace dygrad;
using dygrad::testing::exit_status_of_child;
using dygrad::testing::FailingAllocation;

namespace {

enum Outcome { kNotReached = 0, kRight = 1, kLeaked = 2, kBrokenForGood = 3 };

/// How f() ends when its n-th allocation fails, and whether it works when it is called again.
Outcome outcome_of(const std::function<void()>& f, std::int64_t n) {
  bool happened = false;
  try {
    const FailingAllocation failing(n);
    try {
      f();
    } catch (const Error&) {  // OutOfMemory, or what f() is for
    }
    happened = failing.happened();
  } catch (...) {
    return kLeaked;
  }
  if (!happened) return kNotReached;
  try {
    f();
  } catch (const OutOfMemory&) {
    return kBrokenForGood;
  } catch (const Error&) {
  }
  return kRight;
}

void check_first_call(const char* name, const std::function<void()>& f, bool allocates = false) {
  INFO(name);
  for (std::int64_t n = 1;; ++n) {
    INFO("allocation " << n << " of the first call fails");
    const int outcome = exit_status_of_child([&] { return outcome_of(f, n); });
    if (outcome == kNotReached) {
      if (allocates) CHECK(n > 1);
      break;
    }
    REQUIRE(outcome == kRight);
  }
}

}  // namespace

#define CHECK_FIRST_CALL(...) check_first_call(#__VA_ARGS__, [&] { (void)(__VA_ARGS__); })
#define CHECK_FIRST_ERROR(...) \
  check_first_call(            \
      #__VA_ARGS__, [&] { (void)(__VA_ARGS__); }, true)

TEST_CASE("first calls whose allocations fail throw OutOfMemory and work when they are made again") {
  CHECK_FIRST_CALL(normal({4}));
  CHECK_FIRST_CALL(manual_seed(3));
  CHECK_FIRST_CALL(Dropout());
  CHECK_FIRST_CALL(Sequential());
  CHECK_FIRST_CALL(Flatten());
  CHECK_FIRST_CALL(Linear({.input_dim = 2, .output_dim = 2}));
  CHECK_FIRST_CALL(Conv2D({.num_channels = 1, .num_filters = 1, .filter_size = 1}));
  CHECK_FIRST_CALL(Conv2DTranspose({.num_channels = 1, .num_filters = 1, .filter_size = 1}));
  CHECK_FIRST_CALL(BatchNorm({.num_channels = 2}));
  CHECK_FIRST_CALL(backend_names());
  CHECK_FIRST_CALL(BackendGuard("native"));
  CHECK_FIRST_CALL(forced_backend());
  CHECK_FIRST_CALL(clear_autotune());
  CHECK_FIRST_CALL(set_verbose_sink([](std::string_view) {}));
  CHECK_FIRST_CALL(find_fashion_mnist());
  CHECK_FIRST_CALL(set_global_initializer({}));
  CHECK_FIRST_CALL(allocator_statistics());
  CHECK_FIRST_CALL(live_graphs());
}

TEST_CASE("large tensors of bool are tested without a leak of exceptions") {
  const Tensor x = ones({1000, 1000}) > 0.;
  CHECK_FIRST_CALL(all(x));
  CHECK_FIRST_CALL(any(x));
}

TEST_CASE("errors that there is no memory for are no other exceptions than ours") {
  const Tensor x = ones({4}), image = ones({1, 1, 4, 4});
  Schedule schedule = CosineDecay{.learning_rate = .1};
  const std::vector<double> numbers{1, 2, 3};
  StateDict dict({{"w", x}});
  CHECK_FIRST_ERROR(x.item());
  CHECK_FIRST_ERROR(x.at({7}));
  CHECK_FIRST_ERROR(num_elements({-1}));
  CHECK_FIRST_ERROR(zeros({-1}));
  CHECK_FIRST_ERROR(broadcast_shapes({2}, {3}, "a"));
  const std::vector<std::int64_t> nine(9, 1);
  CHECK_FIRST_ERROR(Shape(nine));
  CHECK_FIRST_CALL(L2Decay{-1});
  CHECK_FIRST_ERROR(Regularizer(L2Decay{-1}));
  CHECK_FIRST_ERROR(GradientClip(GradientClipByNorm{-1}));
  CHECK_FIRST_ERROR(set_num_threads(0));
  CHECK_FIRST_ERROR(avg_pool2d(image, {.size = 9}));
  CHECK_FIRST_ERROR(infer_conv2d_transpose_params({}, {1, 1, 2, 2}, {1, 1, 0, 1}));
  CHECK_FIRST_ERROR(backend("none"));
  CHECK_FIRST_ERROR(BackendGuard("none"));
  CHECK_FIRST_ERROR(activation("unknown"));
  CHECK_FIRST_ERROR(activation("prelu"));
  CHECK_FIRST_ERROR(x.backward());
  CHECK_FIRST_ERROR(x + ones({3}));
  CHECK_FIRST_ERROR(matmul(x, ones({3})));
  CHECK_FIRST_ERROR(load_npy("/nowhere/x.npy"));
  CHECK_FIRST_ERROR(schedule.name());
  CHECK_FIRST_ERROR(schedule.compare_state(numbers));
  CHECK_FIRST_ERROR(schedule.set_state(numbers));
  CHECK_FIRST_ERROR(Tensor().shape());
  CHECK_FIRST_ERROR(softmax(Tensor()));
  CHECK_FIRST_ERROR(dict.insert("w", x));
  CHECK_FIRST_ERROR(activation("none such"));
}

#endif
