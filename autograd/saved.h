// Values that a recorded op keeps for its vjp, and the guard that notices when they changed meanwhile.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <dygrad/autograd/node.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

namespace detail {
[[noreturn]] DYGRAD_API void fail_save_input(unsigned input);
}

/// What an op asks to keep: a set of inputs, and perhaps its output. `save_input(1, need[0]) | save_output(need[1])`.
struct SaveForBackward {
  std::uint32_t bits = 0;
  static constexpr unsigned kMostInputs = 31;
  static constexpr std::uint32_t kOutput = std::uint32_t{1} << kMostInputs;
  bool input(std::size_t i) const { return i < kMostInputs && (bits >> i & 1) != 0; }
  bool output() const { return (bits & kOutput) != 0; }
  constexpr SaveForBackward operator|(SaveForBackward other) const { return {bits | other.bits}; }
};
constexpr SaveForBackward save_nothing() { return {}; }
/// Throws InvalidArgument unless input < 31.
constexpr SaveForBackward save_input(unsigned input, bool when = true) {
  if (input >= SaveForBackward::kMostInputs) detail::fail_save_input(input);
  return {when ? std::uint32_t{1} << input : 0};
}
constexpr SaveForBackward save_output(bool when = true) { return {when ? SaveForBackward::kOutput : 0}; }

/// One kept value with the version it had.
class DYGRAD_API SavedTensor {
 public:
  void save(const Tensor& tensor) {
    tensor_ = tensor;
    version_ = tensor.version();
  }
  /// True if the value was changed in place since it was saved.
  bool is_changed() const { return tensor_.defined() && tensor_.version() != version_; }
  /// The value, given away with `release`.
  Tensor get(bool release) { return release ? std::move(tensor_) : tensor_; }
  std::int64_t num_bytes() const {
    return tensor_.defined() ? static_cast<std::int64_t>(tensor_.impl()->storage->num_bytes()) : 0;
  }
  /// Throws GraphError that tells which op's input or output it was.
  [[noreturn]] void fail_changed(std::string_view op, std::string_view role) const;

 private:
  Tensor tensor_;
  std::uint64_t version_ = 0;
};

/// Whether a node still has its saved values, and who may touch them now: passes of several threads may meet there.
/// Taking them is one atomic instruction, and none while the process has one thread.
class SavedState {
 public:
  /// Waits for other threads. False if the values were released; otherwise end() must follow soon.
  bool begin() noexcept {
    if (detail::is_single_threaded()) return state_.load(std::memory_order_relaxed) == kKept;
    std::uint8_t state = state_.exchange(kBusy, std::memory_order_acquire);
    if (state == kBusy) state = wait();
    if (state == kReleased) state_.store(kReleased, std::memory_order_release);
    return state == kKept;
  }
  void end(bool released) noexcept { state_.store(released ? kReleased : kKept, std::memory_order_release); }

 private:
  static constexpr std::uint8_t kKept = 0, kBusy = 1, kReleased = 2;
  DYGRAD_API std::uint8_t wait() noexcept;

  std::atomic<std::uint8_t> state_{kKept};
};

/// What a vjp sees of the recorded call: the inputs and the output that its op kept. Others are undefined.
class Saved {
 public:
  Saved(std::span<const Tensor> inputs, const Tensor& output) : inputs_(inputs), output_(output) {}
  const Tensor& operator[](std::size_t input) const { return inputs_[input]; }
  const Tensor& output() const { return output_; }

 private:
  std::span<const Tensor> inputs_;
  const Tensor& output_;
};

namespace detail {
/// A kept input for use in a vjp that is recorded, with the producer that it had when it was recorded.
/// See Note [What was recorded stays] in saved.cpp.
DYGRAD_API Tensor attach_input(const Tensor& kept, const Ref<Node>& producer);
/// The kept output for use in a vjp that is recorded. See Note [Saved outputs and cycles] in saved.cpp.
DYGRAD_API Tensor attach_output(const Tensor& kept, Node& producer);
[[noreturn]] DYGRAD_API void fail_released(const Node& node);
}  // namespace detail

}  // namespace dygrad
