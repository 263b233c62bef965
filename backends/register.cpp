// The list of compiled-in backends, preferred ones first. Adding a backend is one line here.
#include <dygrad/backends/native/native.h>
#include <dygrad/backends/reference/reference.h>
#if defined(DYGRAD_HAVE_ONEDNN)
#include <dygrad/backends/onednn/onednn.h>
#endif
#if defined(DYGRAD_HAVE_GEMM)
#include <dygrad/backends/gemm/gemm.h>
#endif

namespace dygrad::detail {

std::vector<std::unique_ptr<Backend>> make_backends() {
  std::vector<std::unique_ptr<Backend>> backends;
#if defined(DYGRAD_HAVE_ONEDNN)
  backends.push_back(make_onednn_backend());
#endif
#if defined(DYGRAD_HAVE_GEMM)
  backends.push_back(make_gemm_backend());
#endif
  backends.push_back(make_native_backend());
  backends.push_back(make_reference_backend());
  return backends;
}

}  // namespace dygrad::detail
