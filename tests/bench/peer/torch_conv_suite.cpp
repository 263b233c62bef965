// libtorch's side of bench_conv_suite: the same problems, forward alone and forward with all three gradients.
#include <fmt/core.h>
#include <torch/torch.h>

#include <exception>
#include <iostream>
#include <memory>

#include <dygrad/tests/bench/support/conv_problem.h>
#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/table.h>

using namespace dygrad::bench;

namespace {

constexpr std::pair<at::MemoryFormat, const char*> kLayouts[] = {{at::MemoryFormat::ChannelsLast, "channels_last"},
                                                                 {at::MemoryFormat::Contiguous, "contiguous"}};

struct Operands {
  Operands(const ConvProblem& p, torch::Dtype dtype, at::MemoryFormat layout)
      : problem(p),
        x(random({p.n, p.cin, p.h, p.w}, dtype).contiguous(layout)),
        w(random({p.cin, p.cout / p.groups, p.kh, p.kw}, dtype).contiguous(layout)),
        b(random({p.cout}, dtype)),
        g(random({p.n, p.cout, p.oh(), p.ow()}, dtype).contiguous(layout)) {}

  static torch::Tensor random(at::IntArrayRef shape, torch::Dtype dtype) { return torch::rand(shape, dtype) * 2 - 1; }

  torch::Tensor deconvolve(const torch::Tensor& bias) const {
    const ConvProblem& p = problem;
    return torch::conv_transpose2d(x, w, bias, {p.sh, p.sw}, {p.ph, p.pw}, {p.extra_h, p.extra_w}, p.groups,
                                   {p.dh, p.dw});
  }

  ConvProblem problem;
  torch::Tensor x, w, b, g;
};

std::function<void()> call_of(bool train, const std::shared_ptr<Operands>& t) {
  if (!train) {
    return [t] {
      const torch::NoGradGuard guard;
      t->deconvolve({});
    };
  }
  for (torch::Tensor* leaf : {&t->x, &t->w, &t->b}) leaf->requires_grad_();
  return [t] {
    t->deconvolve(t->b).backward(t->g);
    for (torch::Tensor* leaf : {&t->x, &t->w, &t->b}) leaf->mutable_grad().reset();
  };
}

/// The layout that libtorch is faster with, on this problem and this machine.
Ready fastest_layout(const ConvProblem& p, bool train, torch::Dtype dtype, bool quick) {
  const Effort trial = quick ? kQuick : Effort{.seconds = 0.1, .warm_up = 0.02, .min_samples = 5};
  Ready best;
  double seconds = 0;
  for (const auto& [layout, word] : kLayouts) {
    Ready candidate{call_of(train, std::make_shared<Operands>(p, dtype, layout)), {{"layout", word}}};
    const double time = measure(candidate.call, trial).fastest;
    if (best.call && time >= seconds) continue;
    best = std::move(candidate);
    seconds = time;
  }
  return best;
}

int run(Program& program, const std::string& shapes, const std::string& dtype) {
  const torch::Dtype type = dtype == "float64" ? torch::kFloat64 : torch::kFloat32;
  program.facts = {{"version", TORCH_VERSION}, {"dtype", dtype}, {"shapes", shapes}};
  std::vector<Case> cases;
  for (const ConvProblem& p : read_conv_problems(shapes)) {
    for (const bool train : {false, true}) {
      const std::string word = train ? "train" : "forward";
      cases.push_back({p.name + "/" + word, [=, &program] {
                         Ready ready = fastest_layout(p, train, type, program.quick());
                         ready.facts.update({{"shape", p.name}, {"direction", word}});
                         return ready;
                       }});
    }
  }
  const Table table({{"shape", 20, true}, {"direction", 9, true}, {"ms", 9}, {"layout", 13, true}});
  if (!program.serves()) table.header();
  return program.run(cases, [&](Result& r) {
    table.row({r.facts["shape"], r.facts["direction"], number(r.timing.median * 1e3), r.facts["layout"]});
  });
}

}  // namespace

int main(int argc, char** argv) {
  Program program("conv", "libtorch", "Times libtorch's transposed convolutions: forward alone, and a training step.");
  std::string shapes = DYGRAD_BENCH_SHAPES "/public.txt", dtype = "float32";
  program.options().add_option("--shapes", shapes, "file of problems, one a line")->check(CLI::ExistingFile);
  program.options().add_option("--dtype", dtype)->check(CLI::IsMember({"float32", "float64"}));
  program.parse(argc, argv);
  try {
    torch::set_num_threads(program.threads());
    return run(program, shapes, dtype);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
