// Uses the library to the last: from destructors of static and thread_local objects, made before and after its first
// use, on the main thread and another. Ends with 0 if each of them computed what main computes.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

#include <dygrad/dygrad.h>

using namespace dygrad;

namespace {

struct Model : Layer {
  Conv2D conv{{.num_channels = 2, .num_filters = 4, .filter_size = 3, .padding = 1, .act = "relu"}};
  BatchNorm norm{{.num_channels = 4}};
  Conv2DTranspose up{{.num_channels = 4, .num_filters = 2, .filter_size = 4, .padding = 1, .stride = 2}};
  Model() {
    register_layer("conv", conv);
    register_layer("norm", norm);
    register_layer("up", up);
  }
  Tensor forward(const Tensor& x) override { return up(norm(conv(x))); }
};

/// Kernels of one backend, or of the one that the library chooses.
double multiply(std::uint64_t seed) {
  Generator generator(seed);  // small integers, whose sums are exact
  const auto integers = [&](const Shape& shape) { return randint(shape, -4, 5, &generator).to(float32); };
  const Tensor a = integers({9, 7}), b = integers({7, 5}).set_stop_gradient(false);
  const Tensor image = integers({2, 3, 6, 6}).set_stop_gradient(false);
  const Tensor w = integers({3, 4, 3, 3}).set_stop_gradient(false);
  const Tensor y = conv2d_transpose(image, w, {}, {.stride = {2, 2}, .padding = {1, 1}});
  (sum(square(y)) + sum(square(matmul(a, b)))).backward();
  return sum(image.grad()).item() + sum(w.grad()).item() + sum(b.grad()).item();
}

double train(std::uint64_t seed) {
  const UniqueNameGuard names;
  const ExecutionGuard direct({.math_mode = MathMode::strict});
  manual_seed(seed);
  Model model;
  Adam optimizer(model.parameters(), {.learning_rate = 0.02});
  const Tensor x = normal({2, 2, 8, 8});
  double result = 0;
  for (int step = 0; step < 3; ++step) {
    const Tensor loss = mean(square(model(x)));
    loss.backward();
    optimizer.step();
    optimizer.clear_gradients();
    result = loss.item();
  }
  return result;
}

double differentiate() {
  const AnomalyMode anomaly;
  const RecordScope scope("leaving");
  const Tensor x = full({3}, 0.5, float64).set_stop_gradient(false);
  const Tensor first = grad(sum(exp(x * x)), x, {.create_graph = true});
  const HookHandle hook = first.register_hook([](const Tensor& g) { return g * 2.; });
  first.backward(ones({3}, float64));
  return sum(x.grad()).item() + static_cast<double>(graph_text(first).size());
}

double print_and_save() {
  const Tensor x = arange(0, 6, 1).reshape({2, 3});
  std::ostringstream text;
  text << x << x.shape();
  const char* folder = std::getenv("TMPDIR");
  const std::string path = fmt::format("{}/dygrad_exit_{}.safetensors", folder ? folder : "/tmp", getpid());
  save_safetensors(path, {{"x", x}});
  const double read = sum(load_safetensors(path).tensors[0].second).item();
  std::remove(path.c_str());
  try {
    (void)x.reshape({7});
  } catch (const ShapeError& error) {
    return read + static_cast<double>(text.str().size() + std::string_view(error.what()).size());
  }
  return 0;
}

std::vector<double> use_everything() {
  std::vector<double> results{train(5), differentiate(), print_and_save(), multiply(8)};
  for (const std::string_view name : backend_names()) {
    const BackendGuard guard(name);
    results.push_back(multiply(7));
  }
  release_cached_memory();
  results.push_back(multiply(9));
  return results;
}

const std::vector<double>& expected() {
  static const auto& instance = *new std::vector<double>(use_everything());
  return instance;
}

/// Ends the program unless all is as in main, but for rounding: another backend may compute in place of one that ended.
void check(const char* place) {
  try {
    const std::vector<double> now = use_everything();
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (std::abs(now[i] - expected()[i]) <= 1e-3 * std::abs(expected()[i])) continue;
      std::fprintf(stderr, "%s: result %zu is %g, expected %g\n", place, i, now[i], expected()[i]);
      std::_Exit(1);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", place, error.what());
    std::_Exit(1);
  }
}

struct UsesAtEnd {
  const char* place;
  explicit UsesAtEnd(const char* name) : place(name) {}
  ~UsesAtEnd() { check(place); }
  void touch() const {}
};

const UsesAtEnd static_before("static object made before the first use");
thread_local const UsesAtEnd local_before("thread_local object made before the thread's first use");

void use_in_a_thread() {
  local_before.touch();
  check("a thread");
  thread_local const UsesAtEnd local_after("thread_local object made after the thread's first use");
  local_after.touch();
}

}  // namespace

int main() {
  local_before.touch();
  (void)expected();
  static const UsesAtEnd static_after("static object made after the first use");
  use_in_a_thread();
  std::thread(use_in_a_thread).join();
}
