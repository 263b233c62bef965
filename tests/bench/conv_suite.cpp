// Transposed convolutions, each direction alone and all three through the tape, against the floor of this machine.
#include <dygrad/dygrad.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <exception>
#include <iostream>
#include <memory>

#include <dygrad/tests/bench/support/algorithm_probe.h>
#include <dygrad/tests/bench/support/calibration.h>
#include <dygrad/tests/bench/support/conv_problem.h>
#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/table.h>

using namespace dygrad;
using namespace dygrad::bench;

namespace {

enum class Direction { forward, data, weights, train };
constexpr std::pair<Direction, const char*> kDirections[] = {{Direction::forward, "forward"},
                                                             {Direction::data, "data"},
                                                             {Direction::weights, "weights"},
                                                             {Direction::train, "train"}};

Conv2DTransposeOptions options_of(const ConvProblem& p) {
  return {.stride = {p.sh, p.sw},
          .padding = {p.ph, p.pw},
          .output_padding = {p.extra_h, p.extra_w},
          .dilation = {p.dh, p.dw},
          .groups = p.groups};
}

/// The tensors of one problem, images channels-last.
struct Operands {
  Operands(const ConvProblem& p, DType dtype)
      : options(options_of(p)),
        kernel{p.kh, p.kw},
        x(image({p.n, p.cin, p.h, p.w}, dtype)),
        w(uniform({p.cin, p.cout / p.groups, p.kh, p.kw}, -1, 1, {.dtype = dtype})),
        b(uniform({p.cout}, -1, 1, {.dtype = dtype})),
        g(image({p.n, p.cout, p.oh(), p.ow()}, dtype)),
        params(infer_conv2d_transpose_params(options, x.shape(), w.shape())) {}

  static Tensor image(const Shape& shape, DType dtype) {
    return uniform(shape, -1, 1, {.dtype = dtype}).contiguous(MemoryFormat::channels_last);
  }

  Conv2DTransposeOptions options;
  std::array<std::int64_t, 2> kernel;
  Tensor x, w, b, g;
  Conv2DParams params;
};

/// The call that `direction` times.
std::function<void()> call_of(Direction direction, const std::shared_ptr<Operands>& t) {
  switch (direction) {
    case Direction::forward:
      return [t] {
        const NoGrad guard;
        explicit_conv2d_transpose(t->x, t->w, t->params);
      };
    case Direction::data:
      return [t] {
        const NoGrad guard;
        explicit_conv2d(t->g, t->w, t->params);
      };
    case Direction::weights:
      return [t] {
        const NoGrad guard;
        conv2d_weights(t->x, t->g, t->params, t->kernel);
      };
    case Direction::train: break;
  }
  for (Tensor* leaf : {&t->x, &t->w, &t->b}) leaf->set_stop_gradient(false);
  return [t] {
    t->w.impl()->storage->bump_version();  // as an optimizer does: nothing made from the weights survives a step
    conv2d_transpose(t->x, t->w, t->b, t->options).backward(t->g);
    for (Tensor* leaf : {&t->x, &t->w, &t->b}) leaf->clear_gradient();
  };
}

Case make_case(const ConvProblem& p, Direction direction, const char* word, DType dtype, const Calibration& limit) {
  return {p.name + "/" + word, [=] {
            const auto operands = std::make_shared<Operands>(p, dtype);
            const int directions = direction == Direction::train ? 3 : 1;
            const double bytes = p.elements() * static_cast<double>(size_of(dtype));
            Ready ready{call_of(direction, operands)};
            ready.facts = {{"shape", p.name},
                           {"direction", word},
                           {"gflop", directions * p.flop() / 1e9},
                           {"floor_ms", directions * limit.floor(p.flop(), bytes) * 1e3},
                           {"algorithm", fmt::format("{}", fmt::join(kernels_of(ready.call), " + "))}};
            return ready;
          }};
}

double gflops(const Result& r) { return r.facts["gflop"].get<double>() / r.timing.median; }
double times_floor(const Result& r) { return r.timing.median * 1e3 / r.facts["floor_ms"].get<double>(); }

/// Per direction: the sum of the times, and the geometric mean of the distances from the floor.
Json summary(const std::vector<Result>& results) {
  Json json = Json::object();
  for (const auto& [direction, word] : kDirections) {
    double ms = 0, floor_ms = 0;
    std::vector<double> distances;
    for (const Result& r : results) {
      if (r.facts["direction"] != word) continue;
      ms += r.timing.median * 1e3;
      floor_ms += r.facts["floor_ms"].get<double>();
      distances.push_back(times_floor(r));
    }
    if (distances.empty()) continue;
    json[word] = {{"ms", ms},
                  {"floor_ms", floor_ms},
                  {"times_floor", ms / floor_ms},
                  {"geometric_mean_times_floor", geometric_mean(distances)}};
  }
  return json;
}

int run(Program& program, const std::string& shapes, DType dtype) {
  const auto problems = read_conv_problems(shapes);
  const Calibration limit = program.serves() ? Calibration{1e12, 1e11} : calibrate(dtype, program.quick());
  program.facts["dtype"] = std::string(name_of(dtype));
  program.facts["shapes"] = shapes;
  for (const std::string_view name : backend_names()) {
    program.facts["backends"][std::string(name)] = backend(name).description();
  }
  std::vector<Case> cases;
  for (const ConvProblem& p : problems) {
    for (const auto& [direction, word] : kDirections) cases.push_back(make_case(p, direction, word, dtype, limit));
  }
  const Table table({{"shape", 20, true},
                     {"direction", 9, true},
                     {"ms", 9},
                     {"GFLOP/s", 8},
                     {"floor ms", 9},
                     {"x floor", 7},
                     {"backend:algorithm", 0, true}});
  if (!program.serves()) {
    program.facts["calibration"] = limit.to_json();
    fmt::print("{}, {} threads; products {:.0f} GFLOP/s, stream {:.1f} GB/s\n", name_of(dtype), num_threads(),
               limit.flop_per_second / 1e9, limit.bytes_per_second / 1e9);
    table.header();
  }
  const auto show = [&](Result& r) {
    r.facts["gflops"] = gflops(r);
    r.facts["times_floor"] = times_floor(r);
    table.row({r.facts["shape"], r.facts["direction"], number(r.timing.median * 1e3), number(gflops(r)),
               number(r.facts["floor_ms"]), number(times_floor(r)),
               r.facts["direction"] == "train" ? "" : r.facts["algorithm"]});  // the three above, once more
  };
  return program.run(cases, show, [&](const std::vector<Result>& results) {
    program.facts["summary"] = summary(results);
    for (const auto& [word, sums] : program.facts["summary"].items()) {
      table.row({"sum", word, number(sums["ms"]), "", number(sums["floor_ms"]), number(sums["times_floor"]),
                 fmt::format("geometric mean {} x floor", number(sums["geometric_mean_times_floor"]))});
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  Program program("conv", "dygrad",
                  "Times transposed convolutions: forward, data and weights alone, and a training step.");
  std::string shapes = DYGRAD_BENCH_SHAPES "/public.txt", dtype = "float32", compute = "standard";
  program.options().add_option("--shapes", shapes, "file of problems, one a line")->check(CLI::ExistingFile);
  program.options().add_option("--dtype", dtype)->check(CLI::IsMember({"float32", "float64"}));
  program.options()
      .add_option("--compute", compute,
                  "dtype: as the tensors; direct: the same by direct sums; bf16: products of bfloat16 numbers")
      ->check(CLI::IsMember({"standard", "strict", "bf16"}));
  bool autotune = false;
  program.options().add_flag("--autotune", autotune, "choose algorithms by timing them, not by the cost model");
  program.parse(argc, argv);
  try {
    const ExecutionGuard guard({.math_mode = compute == "bf16"     ? MathMode::bfloat16
                                             : compute == "strict" ? MathMode::strict
                                                                   : MathMode::standard,
                                .autotune = autotune});
    program.facts = {{"compute", compute}, {"autotune", autotune}};
    set_num_threads(program.threads());
    return run(program, shapes, dtype_from_name(dtype));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
