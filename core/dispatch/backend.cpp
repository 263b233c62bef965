#include <dygrad/core/dispatch/backend.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/simd/instruction_set.h>

namespace dygrad {

namespace {

struct Registry {
  std::vector<std::unique_ptr<Backend>> backends = detail::make_backends();
  const Backend* forced = nullptr;  // by DYGRAD_BACKEND

  Registry() {
    (void)kernel::instruction_set();  // throws where its variable has an unknown value: here, not among threads
    const char* name = std::getenv("DYGRAD_BACKEND");
    if (name && *name) forced = &find("DYGRAD_BACKEND", name);
  }

  /// Errors begin with `asked`, which is what named the backend.
  const Backend& find(std::string_view asked, std::string_view name) const {
    const auto at =
        std::find_if(backends.begin(), backends.end(), [&](const auto& backend) { return backend->name() == name; });
    if (at != backends.end()) return **at;
    std::vector<std::string_view> names;
    for (const auto& backend : backends) names.push_back(backend->name());
    const bool is_known = name == "onednn" || name == "gemm";
    Message message(asked, is_known ? "the backend is not compiled in." : "there is no such backend.");
    auto&& facts = std::move(message).expected("one of {}", fmt::join(names, ", ")).got("\"{}\"", name);
    if (is_known) {
      throw BackendError(std::move(facts).fix("configure with -D{}=ON and its library installed",
                                              name == "onednn" ? "DYGRAD_ONEDNN" : "DYGRAD_BLAS"));
    }
    throw BackendError(std::move(facts).fix("use one of the names above"));
  }
};

// Never destroyed: kernels may run from other static objects' destructors.
Registry& registry() {
  static Registry& instance = *detail::with_out_of_memory("backend", [] { return new Registry; });
  return instance;
}

thread_local const Backend* forced_here = nullptr;

}  // namespace

std::string_view name_of(Problem::Kind kind) {
  switch (kind) {
    case Problem::Kind::conv2d_transpose: return "conv2d_transpose";
    case Problem::Kind::conv2d: return "conv2d";
    case Problem::Kind::conv2d_weights: return "conv2d_weights";
    case Problem::Kind::matmul: return "matmul";
  }
  return "unknown";
}

std::vector<std::string_view> backend_names() {
  return detail::with_out_of_memory("backend_names", [] {
    std::vector<std::string_view> names;
    for (const auto& backend : registry().backends) names.push_back(backend->name());
    return names;
  });
}

const Backend& backend(std::string_view name) {
  return detail::with_out_of_memory("backend", [&]() -> const Backend& { return registry().find("backend", name); });
}

const Backend* forced_backend() { return forced_here ? forced_here : registry().forced; }

std::span<const std::unique_ptr<Backend>> all_backends() { return registry().backends; }

bool Backend::supports(const Problem& problem) const {
  const auto all = algorithms();
  return std::any_of(all.begin(), all.end(), [&](const Algorithm* a) { return a->supports(problem); });
}

BackendGuard::BackendGuard(std::string_view name) : previous_(forced_here) { forced_here = &backend(name); }
BackendGuard::~BackendGuard() { forced_here = previous_; }

}  // namespace dygrad
