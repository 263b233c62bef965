// The narrow interface behind which kernels are computed, and the choice among its implementations.
// Ops call `compute(problem, ...)`; the concrete backends live in backends/ and are listed in backends/register.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <dygrad/core/base/fused_activation.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Everything about a 2-D (transposed) convolution but batch, channels and values; the key of every cache.
/// Written from conv2d_transpose(x, w) = y: x [N, C, H, W], w [C, O/groups, kh, kw], y [N, O, OH, OW] with
///   y[n, g*O/G + o, h*sh + i*dh - ph, w*sw + j*dw - pw] += x[n, c, h, w] * w[c, o, i, j]
/// wherever the target lies inside y. Extents are explicit, so padding after the image is implied by them.
struct Conv2DParams {
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};  ///< before the image: top, left
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
  std::array<std::int64_t, 2> input_extent{};   ///< H, W of x, which is the result of conv2d
  std::array<std::int64_t, 2> output_extent{};  ///< OH, OW of y, which conv2d is given
  bool operator==(const Conv2DParams&) const = default;
};

/// One thing to compute.
struct Problem {
  enum class Kind : std::uint8_t { conv2d_transpose, conv2d, conv2d_weights, matmul };
  Kind kind;
  DType dtype;
  const Conv2DParams* conv = nullptr;  ///< for the convolution family
  Shape x, w, y;  ///< of the convolution family: shapes of conv2d_transpose's input, weights and output
  MathMode math_mode = MathMode::standard;
};
DYGRAD_API std::string_view name_of(Problem::Kind kind);

/// What is done to each element of an image result before it is returned: activation(element + bias of its channel).
struct Epilogue {
  Tensor bias{};  ///< one value per channel, or undefined
  FusedActivation activation{};
};

/// One way to compute problems of some kinds. Shapes and dtypes were checked by the op; implementations assert. Inputs
/// may have any strides; results are fresh and dense, in a stride order of the algorithm's choice. Nothing here records
/// or reads gradients. Convolutions with an extent of 0 never get here. Algorithms are stateless and live as long as
/// the program.
/// Accuracy: with u half the machine epsilon, a sum of n products is off by at most e u times the sum of their absolute
/// values, where e = n up to 2^14 products, as for recursive summation, and e = 2048 + log2(n) beyond, as for blocks
/// whose sums are added pairwise. Tiles of Winograd multiply this by a constant.
class DYGRAD_API Algorithm {
 public:
  virtual ~Algorithm() = default;
  virtual std::string_view name() const = 0;
  /// What computes underneath: the name of a vendor's implementation, or an instruction set.
  virtual std::string implementation(const Problem& problem) const = 0;
  virtual bool supports(const Problem& problem) const = 0;
  /// Predicted seconds with num_threads() threads. A function of the problem alone, so that choices repeat.
  virtual double estimate(const Problem& problem) const = 0;
  /// The result from its operands, in the order of the kind:
  ///   conv2d_transpose  x, w: the transposed convolution; shape of y
  ///   conv2d            g, w: its adjoint in x, which is the ordinary convolution of g; shape of x
  ///   conv2d_weights    x, g: its adjoint in w; shape of w
  ///   matmul            a [B..., M, K] times b [B..., K, N] with equal batch dimensions; strides of 0 are welcome
  /// `epilogue` is for image results; others ignore it. The library's algorithms are SplitK
  /// (backends/common/split_k.h), whose run() calls their run_unsplit().
  virtual Tensor run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const = 0;
};

/// A family of algorithms over one library.
class DYGRAD_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// Version, instruction set, threads: in one line.
  virtual std::string description() const = 0;
  virtual std::span<const Algorithm* const> algorithms() const = 0;

  bool supports(const Problem& problem) const;

  // The problem that the operands imply, computed by this backend's best algorithm for it.
  Tensor conv2d_transpose(const Conv2DParams& p, const Tensor& x, const Tensor& w, const Epilogue& epilogue = {}) const;
  Tensor conv2d(const Conv2DParams& p, const Tensor& g, const Tensor& w, const Epilogue& epilogue = {}) const;
  /// `kernel` is {kh, kw}, which extents alone do not determine.
  Tensor conv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                        std::array<std::int64_t, 2> kernel) const;
  Tensor matmul(const Tensor& a, const Tensor& b) const;
};

/// The compiled-in backends, preferred ones first; "reference" is always the last.
DYGRAD_API std::vector<std::string_view> backend_names();
/// Throws BackendError naming the compiled-in ones, and the CMake option of a known one that is missing; so does
/// whatever looks for a backend while DYGRAD_BACKEND names none.
DYGRAD_API const Backend& backend(std::string_view name);

/// What computes a problem.
struct Choice {
  const Backend* backend;
  const Algorithm* algorithm;
};

/// The algorithm with the smallest estimate among those that support the problem; only of the backend forced by
/// BackendGuard or DYGRAD_BACKEND, if any. With autotuning on, the fastest when tried (core/dispatch/autotune.h).
/// Throws BackendError if nothing can compute it. Remembered per thread for the last problems.
DYGRAD_API Choice choose(const Problem& problem);
DYGRAD_API const Backend& select_backend(const Problem& problem);

/// Chooses and runs; one verbose line. Defined in backends/selection/algorithm_selection.cpp, as choose() is.
DYGRAD_API Tensor compute(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue = {});

/// While alive, ops on this thread use the named backend only. Nests.
class DYGRAD_API BackendGuard {
 public:
  explicit BackendGuard(std::string_view name);
  ~BackendGuard();
  BackendGuard(const BackendGuard&) = delete;
  BackendGuard& operator=(const BackendGuard&) = delete;

 private:
  const Backend* previous_;
};

/// The one that BackendGuard or DYGRAD_BACKEND forces on this thread, or null.
DYGRAD_API const Backend* forced_backend();
DYGRAD_API std::span<const std::unique_ptr<Backend>> all_backends();

namespace detail {
/// Defined in backends/register.cpp: the backends in order of preference.
DYGRAD_API std::vector<std::unique_ptr<Backend>> make_backends();
}  // namespace detail

}  // namespace dygrad
