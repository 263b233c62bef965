// Values that a recorded op keeps for its vjp, and the guard that notices when they changed meanwhile.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/autograd/node.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// What an op asks to keep: a set of inputs, and perhaps its output. `save_input(1, need[0]) | save_output(need[1])`.
class SaveForBackward {
 public:
  static constexpr std::size_t kWord = 64;  // inputs
  static SaveForBackward of_input(std::size_t input) {
    SaveForBackward result;
    if (input < kWord) result.first_ = std::uint64_t{1} << input;
    else result.later_ = later_of(input - kWord);
    return result;
  }
  static SaveForBackward of_output() {
    SaveForBackward result;
    result.output_ = true;
    return result;
  }
  bool input(std::size_t i) const { return i < kWord ? (first_ >> i & 1) != 0 : has_later(i - kWord); }
  bool output() const { return output_; }
  /// The first inputs, a bit each.
  std::uint64_t first_word() const { return first_; }
  /// Whether all its inputs are among the first `count`.
  bool is_within(std::size_t count) const {
    return count < kWord ? first_ >> count == 0 && !later_ : count >= kWord + (later_ ? later_->size() : 0);
  }
  SaveForBackward operator|(const SaveForBackward& other) const {
    SaveForBackward result;
    result.first_ = first_ | other.first_;
    result.output_ = output_ || other.output_;
    if (later_ || other.later_) result.later_ = merged(later_.get(), other.later_.get());
    return result;
  }

 private:
  // Few ops have so many inputs that this is not null: then nothing of it is left in what is compiled for an op.
  using Later = std::shared_ptr<const std::vector<bool>>;
  DYGRAD_API static Later later_of(std::size_t i);
  DYGRAD_API static Later merged(const std::vector<bool>* a, const std::vector<bool>* b);
  bool has_later(std::size_t i) const { return later_ && i < later_->size() && (*later_)[i]; }

  std::uint64_t first_ = 0;  // the first 64 inputs
  bool output_ = false;
  Later later_;  // the others, up to the last one in the set
};
inline SaveForBackward save_nothing() { return {}; }
inline SaveForBackward save_input(std::size_t input, bool when = true) {
  return when ? SaveForBackward::of_input(input) : SaveForBackward();
}
inline SaveForBackward save_output(bool when = true) { return when ? SaveForBackward::of_output() : SaveForBackward(); }

/// One saved value with the version it had.
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
  /// Throws GraphError that says which op's input, made by `producer`, or output it was.
  static constexpr std::size_t kOutput = SIZE_MAX;
  [[noreturn]] void fail_changed(std::string_view pass, std::string_view op, std::size_t input,
                                 const Node* producer) const;

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

namespace detail {
[[noreturn]] DYGRAD_API void fail_saved_input(const OpSignature& op, std::size_t input);
[[noreturn]] DYGRAD_API void fail_saved_output(const OpSignature& op);
}  // namespace detail

/// What a vjp sees of the recorded call: the inputs and the output that save_for_backward named. Throws InvalidArgument
/// where vjp asks for others.
class Saved {
 public:
  Saved(const Tensor* inputs, const Tensor& output, const OpSignature& op)
      : inputs_(inputs), output_(&output), op_(&op) {}
  const Tensor& operator[](std::size_t input) const {
    if (input >= op_->num_inputs || !inputs_[input].defined()) [[unlikely]]
      detail::fail_saved_input(*op_, input);
    return inputs_[input];
  }
  const Tensor& output() const {
    if (!output_->defined()) [[unlikely]]
      detail::fail_saved_output(*op_);
    return *output_;
  }

 private:
  const Tensor* inputs_;
  const Tensor* output_;
  const OpSignature* op_;
};

namespace detail {
/// A saved input for use in a vjp that is recorded, with the producer that it had when it was recorded.
/// See Note [Edges of saved inputs] in saved.cpp.
DYGRAD_API Tensor attach_input(const Tensor& saved, const Ref<Node>& producer);
/// The saved output for use in a vjp that is recorded. See Note [Saved outputs and cycles] in saved.cpp.
DYGRAD_API Tensor attach_output(const Tensor& saved, Node& producer);
[[noreturn]] DYGRAD_API void fail_released(std::string_view pass, const Node& node);
}  // namespace detail

}  // namespace dygrad
