// The narrow interface behind which kernels are computed, and the choice among its implementations.
// Ops call `select_backend(problem)`; the concrete backends live in backends/ and are listed in backends/register.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <dygrad/core/tensor.h>

namespace dygrad {

/// Everything about a 2-D (transposed) convolution but batch, channels and values; the key of every cache.
/// Written from the transposed convolution D(x, w) = y: x [N, C, H, W], w [C, O/groups, kh, kw], y [N, O, OH, OW] with
///   y[n, g*O/G + o, h*sh + i*dh - ph, w*sw + j*dw - pw] += x[n, c, h, w] * w[c, o, i, j]
/// wherever the target lies inside y. Extents are explicit, so padding after the image is implied by them.
struct Conv2DParams {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};  ///< before the image: top, left
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
  std::array<std::int64_t, 2> input_extent{};   ///< H, W
  std::array<std::int64_t, 2> output_extent{};  ///< OH, OW
  bool operator==(const Conv2DParams&) const = default;
};

/// One question to a backend: can it do this?
struct Problem {
  enum class Kind : std::uint8_t { deconv2d, deconv2d_data, deconv2d_weights, matmul };
  Kind kind;
  DType dtype;
  const Conv2DParams* conv = nullptr;  ///< for the convolution family
  Shape x, w, y;                       ///< of the convolution family: shapes of D's input, weights and output
};
DYGRAD_API std::string_view name_of(Problem::Kind kind);

/// A way to compute kernels. Shapes and dtypes were checked by the op; implementations assert. Inputs may have any
/// strides; results are fresh and dense, in a stride order of the backend's choice. No kernel records or reads
/// gradients.
class DYGRAD_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// Version, instruction set, threads: one line for people.
  virtual std::string description() const = 0;
  virtual bool supports(const Problem& problem) const = 0;

  /// D(x, w) = y, the transposed convolution.
  virtual Tensor deconv2d(const Conv2DParams& p, const Tensor& x, const Tensor& w) = 0;
  /// B(g, w): the adjoint of D in x, which is the ordinary convolution of g. Shape of x.
  virtual Tensor deconv2d_data(const Conv2DParams& p, const Tensor& g, const Tensor& w) = 0;
  /// W(x, g): the adjoint of D in w. `kernel` is {kh, kw}, which extents alone do not determine. Shape of w.
  virtual Tensor deconv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                                  std::array<std::int64_t, 2> kernel) = 0;
  /// a [B..., M, K] times b [B..., K, N] with equal batch dimensions; strides of 0 and transposed views are welcome.
  virtual Tensor matmul(const Tensor& a, const Tensor& b) = 0;
};

/// The compiled-in backends, preferred ones first; "reference" is always the last.
DYGRAD_API std::vector<std::string_view> backend_names();
/// Throws BackendError naming the compiled-in ones, and the CMake option of a known one that is missing.
DYGRAD_API Backend& backend(std::string_view name);

/// The first backend that supports the problem, or the one forced by BackendGuard or DYGRAD_BACKEND.
/// Throws BackendError if a forced one cannot do it.
DYGRAD_API Backend& select_backend(const Problem& problem);

/// While alive, ops on this thread use the named backend only. Nests.
class DYGRAD_API BackendGuard {
 public:
  explicit BackendGuard(std::string_view name);
  ~BackendGuard();
  BackendGuard(const BackendGuard&) = delete;
  BackendGuard& operator=(const BackendGuard&) = delete;

 private:
  Backend* previous_;
};

namespace detail {
/// Defined in backends/register.cpp: the backends in order of preference.
DYGRAD_API std::vector<std::unique_ptr<Backend>> make_backends();
}  // namespace detail

}  // namespace dygrad
