// Small and odd convolutions: what each algorithm was expected to take, what it took, and how much slower the chosen
// one is than the fastest. What estimates are judged by. Weights count as changed before each call, as in training.
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/kernels/copy.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <random>

#include <dygrad/tests/bench/support/conv_problem.h>
#include <dygrad/tests/bench/support/timing.h>

using namespace dygrad;
using namespace dygrad::bench;

namespace {

using Kind = Problem::Kind;

/// Problems of at least a thousand products: few channels or many, images from one pixel on, every kind of kernel.
std::vector<ConvProblem> family(int count, std::uint32_t seed, double most_products) {
  std::mt19937 engine(seed);
  const auto one_of = [&](std::initializer_list<std::int64_t> list) {
    return *(list.begin() + static_cast<std::ptrdiff_t>(engine() % list.size()));
  };
  std::vector<ConvProblem> problems;
  while (problems.size() < static_cast<std::size_t>(count)) {
    ConvProblem p{};
    p.name = "p" + std::to_string(problems.size());
    p.n = one_of({1, 1, 2, 2, 3, 8, 16, 64, 128});
    p.cin = one_of({1, 2, 3, 5, 8, 16, 16, 24, 32, 48, 64, 100, 128, 256, 512});
    p.cout = one_of({1, 2, 3, 6, 8, 16, 17, 32, 48, 64, 96, 128, 192, 256, 512});
    p.h = one_of({1, 2, 3, 4, 5, 7, 8, 14, 16, 28, 33});
    p.w = engine() % 4 == 0 ? one_of({1, 3, 9, 40}) : p.h;
    p.kh = one_of({1, 2, 2, 3, 3, 3, 4, 5, 7});
    p.kw = engine() % 8 == 0 ? one_of({1, 3, 6}) : p.kh;
    p.sh = one_of({1, 1, 2, 2, 3}), p.sw = engine() % 8 == 0 ? 1 : p.sh;
    p.ph = static_cast<std::int64_t>(engine()) % ((p.kh + 1) / 2 + 1), p.pw = std::min(p.ph, (p.kw + 1) / 2);
    p.dh = p.dw = one_of({1, 1, 1, 2, 3});
    p.groups = one_of({1, 1, 1, 1, 1, 2, 4, 8});
    if (engine() % 10 == 0) p.groups = p.cout = p.cin;
    const double products = p.flop() / 2;
    if (p.cin % p.groups || p.cout % p.groups || p.oh() < 1 || p.ow() < 1 || products < 1e3 || products > most_products)
      continue;
    problems.push_back(p);
  }
  return problems;
}

struct Operands {
  Conv2DParams params;
  Tensor x, w, g;

  Operands(const ConvProblem& p, DType dtype)
      : params{.stride = {p.sh, p.sw},
               .padding = {p.ph, p.pw},
               .dilation = {p.dh, p.dw},
               .groups = p.groups,
               .input_extent = {p.h, p.w},
               .output_extent = {p.oh(), p.ow()}},
        x(kernel::contiguous(full({p.n, p.cin, p.h, p.w}, 0.5, dtype), MemoryFormat::channels_last)),
        w(full({p.cin, p.cout / p.groups, p.kh, p.kw}, 0.5, dtype)),
        g(kernel::contiguous(full({p.n, p.cout, p.oh(), p.ow()}, 0.5, dtype), MemoryFormat::channels_last)) {}
  Problem problem(Kind kind) const { return {kind, x.dtype(), &params, x.shape(), w.shape(), g.shape()}; }
  Tensor run(const Algorithm& algorithm, Kind kind) const {
    w.impl()->storage->bump_version();
    return algorithm.run(problem(kind), kind == Kind::conv2d ? g : x, kind == Kind::conv2d_weights ? g : w, {});
  }
};

struct Options {
  int count = 100, threads = 1;
  std::uint32_t seed = 1;
  std::string shapes, dtype = "float32";
  double seconds = 0.004, most_products = 2e7;
  bool choices_only = false, all = false;
};

void report(const ConvProblem& p, const Options& options, std::vector<double>& losses) {
  constexpr double kHopeless = 30;  // times the best estimate: not timed
  const Operands in(p, options.dtype == "float64" ? float64 : float32);
  for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d, Kind::conv2d_weights}) {
    const Problem problem = in.problem(kind);
    const Choice choice = choose(problem);
    fmt::print("{} {} n{} {}x{}x{} to {} k{}x{} s{}x{} p{}x{} d{} g{}: {}:{}\n", p.name, name_of(kind), p.n, p.cin, p.h,
               p.w, p.cout, p.kh, p.kw, p.sh, p.sw, p.ph, p.pw, p.dh, p.groups, choice.backend->name(),
               choice.algorithm->name());
    if (options.choices_only) continue;
    const double chosen_estimate = choice.algorithm->estimate(problem);
    double fastest = 0, chosen = 0;
    for (const auto& backend : all_backends()) {
      for (const Algorithm* algorithm : backend->algorithms()) {
        if (!algorithm->supports(problem)) continue;
        const double estimate = algorithm->estimate(problem);
        if (estimate > kHopeless * chosen_estimate && !options.all) continue;
        const double seconds = measure([&] { in.run(*algorithm, kind); }, {options.seconds, 0, 8}).fastest;
        if (fastest == 0 || seconds < fastest) fastest = seconds;
        if (algorithm == choice.algorithm) chosen = seconds;
        fmt::print("    {:24} estimated {:9.1f} took {:9.1f} us  {:5.2f} {}{}\n",
                   std::string(backend->name()) + ":" + std::string(algorithm->name()), 1e6 * estimate, 1e6 * seconds,
                   seconds / estimate, algorithm->implementation(problem), algorithm == choice.algorithm ? " *" : "");
      }
    }
    losses.push_back(chosen / fastest);
    fmt::print("    loss {:.2f}\n", chosen / fastest);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("What estimates of convolutions are worth");
  app.add_option("--count", options.count, "problems of the family");
  app.add_option("--seed", options.seed, "which family");
  app.add_option("--shapes", options.shapes, "problems of a file instead");
  app.add_option("--most-products", options.most_products, "of a problem of the family");
  app.add_option("--threads", options.threads);
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "float64"}));
  app.add_option("--seconds", options.seconds, "for each algorithm");
  app.add_flag("--choices-only", options.choices_only, "print what is chosen, and time nothing");
  app.add_flag("--all", options.all, "time hopeless algorithms too");
  CLI11_PARSE(app, argc, argv);
  set_num_threads(options.threads);
  std::vector<double> losses;
  for (const ConvProblem& p : options.shapes.empty() ? family(options.count, options.seed, options.most_products)
                                                     : read_conv_problems(options.shapes)) {
    report(p, options, losses);
  }
  if (losses.empty()) return 0;
  fmt::print("chosen over fastest: geometric mean {:.3f}, worst {:.2f}, above 1.5: {} of {}\n", geometric_mean(losses),
             quantile(losses, 1), std::ranges::count_if(losses, [](double loss) { return loss > 1.5; }), losses.size());
}
