#include <dygrad/core/backend.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {

struct Registry {
  std::vector<std::unique_ptr<Backend>> backends = detail::make_backends();
  Backend* forced = nullptr;  // by DYGRAD_BACKEND

  Registry() {
    const char* name = std::getenv("DYGRAD_BACKEND");
    if (name && *name) forced = &find(name);
  }

  Backend& find(std::string_view name) const {
    const auto at =
        std::find_if(backends.begin(), backends.end(), [&](const auto& backend) { return backend->name() == name; });
    if (at != backends.end()) return **at;
    std::vector<std::string_view> names;
    for (const auto& backend : backends) names.push_back(backend->name());
    Message message("backend", "not compiled in.");
    auto&& facts = std::move(message).expected("one of {}", fmt::join(names, ", ")).got("\"{}\"", name);
    if (name == "onednn" || name == "gemm") {
      throw BackendError(std::move(facts).fix("configure with -D{}=ON and its library installed",
                                              name == "onednn" ? "DYGRAD_ONEDNN" : "DYGRAD_BLAS"));
    }
    throw BackendError(std::move(facts).fix("use one of the names above"));
  }
};

// Never destroyed: kernels may run from other static objects' destructors.
Registry& registry() {
  static Registry& instance = *new Registry;
  return instance;
}

thread_local Backend* forced_here = nullptr;

}  // namespace

std::string_view name_of(Problem::Kind kind) {
  switch (kind) {
    case Problem::Kind::deconv2d: return "deconv2d";
    case Problem::Kind::deconv2d_data: return "deconv2d_data";
    case Problem::Kind::deconv2d_weights: return "deconv2d_weights";
    case Problem::Kind::matmul: return "matmul";
  }
  return "unknown";
}

std::vector<std::string_view> backend_names() {
  std::vector<std::string_view> names;
  for (const auto& backend : registry().backends) names.push_back(backend->name());
  return names;
}

Backend& backend(std::string_view name) { return registry().find(name); }

Backend& select_backend(const Problem& problem) {
  Registry& all = registry();
  if (Backend* forced = forced_here ? forced_here : all.forced) {
    if (forced->supports(problem)) return *forced;
    throw BackendError(Message(name_of(problem.kind), "the forced backend cannot compute this problem.")
                           .line("backend {}, dtype {}", forced->name(), problem.dtype)
                           .line("x {}, w {}, y {}", problem.x, problem.w, problem.y)
                           .fix("unset DYGRAD_BACKEND or leave the BackendGuard, so that another backend can take it"));
  }
  for (const auto& backend : all.backends) {
    if (backend->supports(problem)) return *backend;
  }
  throw BackendError(
      Message(name_of(problem.kind), "no backend computes this problem.").line("dtype {}", problem.dtype));
}

BackendGuard::BackendGuard(std::string_view name) : previous_(forced_here) { forced_here = &backend(name); }
BackendGuard::~BackendGuard() { forced_here = previous_; }

}  // namespace dygrad
