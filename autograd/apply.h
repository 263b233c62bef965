// apply: runs an op, and records it if a gradient may be asked for. Every differentiable op goes through here, the
// library's and users' own alike. An op is a struct:
//
//   struct Square {
//     static constexpr std::string_view name = "square";
//     Tensor forward(const Tensor& x) { return x * x; }  // runs without recording
//     // Optional: what vjp will look at.
//     static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
//     // Written with differentiable ops; recorded only in a pass with create_graph.
//     Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const { return {g * saved[0] * 2}; }
//   };
//   Tensor square(const Tensor& x) { return apply(Square{}, x); }
//
// vjp returns one gradient per input, of the input's shape; undefined where need[i] is false or the gradient is zero.
// Another number, shape or dtype makes the pass throw, and so does an index that is no input's, or a saved[i] that
// save_for_backward did not name.
// forward may store shapes or indices in the struct for vjp. An op with a varying number of inputs takes and returns
// spans and vectors instead: forward(std::span<const Tensor>), std::vector<Tensor> vjp(...).
#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/saved.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

template <std::size_t N>
using Grads = std::array<Tensor, N>;

/// The contract of an op with N tensor inputs.
template <class Op, std::size_t N>
concept DifferentiableOp = requires(const Op op, const Tensor& g, const Saved& saved, NeedsGrad need) {
  { Op::name } -> std::convertible_to<std::string_view>;
  { op.vjp(g, saved, need) } -> std::same_as<Grads<N>>;
};

/// The contract of an op on a list of tensors.
template <class Op>
concept VariadicOp = requires(const Op op, const Tensor& g, const Saved& saved, NeedsGrad need) {
  { Op::name } -> std::convertible_to<std::string_view>;
  { op.vjp(g, saved, need) } -> std::same_as<std::vector<Tensor>>;
};

namespace detail {

[[noreturn]] DYGRAD_API void fail_gradient_count(std::string_view op, std::size_t got, std::size_t inputs);
[[noreturn]] DYGRAD_API void fail_no_output(std::string_view op);
[[noreturn]] DYGRAD_API void fail_undefined_operand(std::string_view op, std::string_view operand);
/// Throws InvalidArgument, in the name of `op`, for the first of the inputs that is undefined, if there is one.
DYGRAD_API void check_inputs_defined(std::string_view op, std::span<const Tensor> inputs);
template <std::same_as<Tensor>... Inputs>
[[gnu::noinline]] void check_inputs_defined(std::string_view op, const Inputs&... inputs) {
  const std::array<Tensor, sizeof...(Inputs)> list{inputs...};
  check_inputs_defined(op, std::span<const Tensor>(list));
}
/// Throws InvalidArgument unless x, which `operand` names, has a value.
inline void check_defined(std::string_view op, std::string_view operand, const Tensor& x) {
  if (!x.defined()) [[unlikely]]
    fail_undefined_operand(op, operand);
}
[[noreturn]] DYGRAD_API void fail_save_input(const OpSignature& op, const SaveForBackward& asked);

/// f(), which calls a function of an op: what a user's op throws goes through as it is, for the library's own ops a
/// failed allocation of a container becomes OutOfMemory.
template <class F>
decltype(auto) call_op(F&& f) {
#if defined(DYGRAD_BUILDS_AUTOGRAD)
  return std::forward<F>(f)();
#else
  return call_user(std::forward<F>(f));
#endif
}

/// SaveForBackward of few inputs, returned in registers.
class SavedBits {
 public:
  explicit SavedBits(const SaveForBackward& saved) : inputs_(saved.first_word()), output_(saved.output()) {}
  bool input(std::size_t i) const { return (inputs_ >> i & 1) != 0; }
  bool output() const { return output_; }

 private:
  std::uint64_t inputs_;
  bool output_;
};

/// What Op saves. Throws InvalidArgument if it names an input that it does not have.
template <class Op, class Arity>
typename Arity::Saved saved_by(const bool* needs_grad, std::size_t num_inputs) {
  const OpSignature signature{Op::name, Arity::num_inputs(num_inputs)};
  const NeedsGrad need(needs_grad, signature);
  if constexpr (requires { Op::save_for_backward(need); }) {
    SaveForBackward saved = Op::save_for_backward(need);
    if (!saved.is_within(signature.num_inputs)) [[unlikely]]
      fail_save_input(signature, saved);
    return typename Arity::Saved(std::move(saved));
  } else {
    return typename Arity::Saved(save_nothing());
  }
}

/// Fixed-size stand-in for std::vector, for ops with N inputs.
template <std::size_t N>
struct FixedArity {
  template <class T>
  struct List : std::array<T, N> {
    explicit List(std::size_t) : std::array<T, N>{} {}
  };
  /// Known when an op is compiled, and with it that its indices are in range.
  static constexpr std::size_t num_inputs(std::size_t) { return N; }
  using Saved = std::conditional_t<N <= SaveForBackward::kWord, SavedBits, SaveForBackward>;
  /// What an op was called with.
  struct Inputs {
    std::array<const Tensor*, N> tensors;
    static constexpr std::size_t size() { return N; }
    const Tensor& operator[](std::size_t i) const { return *tensors[i]; }
  };
};

/// The same for ops on a list of tensors.
struct VariadicArity {
  /// std::vector, but with one bool per byte.
  template <class T>
  struct List : std::vector<T> {
    using std::vector<T>::vector;
  };
  static constexpr std::size_t num_inputs(std::size_t count) { return count; }
  using Saved = SaveForBackward;
  using Inputs = std::span<const Tensor>;
};
template <>
struct VariadicArity::List<bool> {
  explicit List(std::size_t count) : flags(std::make_unique<bool[]>(count)) {}
  bool& operator[](std::size_t i) { return flags[i]; }
  const bool* data() const { return flags.get(); }
  std::unique_ptr<bool[]> flags;
};

/// What all recorded ops of one arity have in common, compiled once: the edges and the saved values.
template <class Arity>
class OpNodeBase : public Node {
 public:
  [[gnu::noinline]] void release() override {
    if (!access_.begin()) return;
    const List<SavedTensor> inputs(std::move(saved_));  // dropped after the access: a value's deleter may run passes
    const Tensor output = output_.get(/*release=*/true);
    access_.end(/*released=*/true);
  }
  std::int64_t saved_bytes() const override {
    if (!access_.begin()) return 0;
    std::int64_t bytes = output_.num_bytes();
    for (std::size_t i = 0; i < edges_.size(); ++i) bytes += saved_[i].num_bytes();
    access_.end(/*released=*/false);
    return bytes;
  }

 protected:
  template <class T>
  using List = typename Arity::template List<T>;

  OpNodeBase(const typename Arity::Inputs& inputs, const Tensor& output,
             typename Arity::Saved (*saved_by)(const bool* needs_grad, std::size_t num_inputs))
      : Node(output.shape(), output.dtype()), edges_(inputs.size()), saved_(inputs.size()) {
    List<bool> need(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      edges_[i] = Ref<Node>(gradient_node(inputs[i]));
      need[i] = static_cast<bool>(edges_[i]);
    }
    const typename Arity::Saved saved = saved_by(need.data(), inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (saved.input(i)) saved_[i].save(inputs[i]);
    }
    if (saved.output()) output_.save(view::alias(output));
    set_inputs(edges_.data(), edges_.size());
  }
  [[gnu::noinline]] ~OpNodeBase() override = default;

  /// The saved values, for one vjp.
  struct SavedValues {
    List<Tensor> inputs;
    Tensor output;
  };
  [[gnu::noinline]] SavedValues take(std::string_view op, const VjpRequest& request) {
    SavedValues values{List<Tensor>(edges_.size()), Tensor()};
    if (!access_.begin()) fail_released(request.pass, *this);
    if (const SavedTensor* changed = find_changed()) {
      access_.end(/*released=*/false);
      if (changed == &output_) changed->fail_changed(request.pass, op, SavedTensor::kOutput, nullptr);
      const auto input = static_cast<std::size_t>(changed - saved_.data());
      changed->fail_changed(request.pass, op, input, edges_[input].get());
    }
    move_saved(values, request.release);
    if (is_grad_enabled()) attach(values);
    return values;
  }

 private:
  /// For a vjp that is recorded.
  void attach(SavedValues& values) {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      Tensor& input = values.inputs[i];
      if (input.defined() && gradient_node(input) != edges_[i].get()) input = attach_input(input, edges_[i]);
    }
    if (values.output.defined()) values.output = attach_output(values.output, *this);
  }
  const SavedTensor* find_changed() const {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (saved_[i].is_changed()) return &saved_[i];
    }
    return output_.is_changed() ? &output_ : nullptr;
  }
  /// Ends the access.
  void move_saved(SavedValues& values, bool release) {
    for (std::size_t i = 0; i < edges_.size(); ++i) values.inputs[i] = saved_[i].get(release);
    values.output = output_.get(release);
    access_.end(release);
  }

  List<Ref<Node>> edges_;
  List<SavedTensor> saved_;
  SavedTensor output_;
  mutable SavedState access_;
};

/// A recorded op: the struct, the edges and the saved values in one allocation.
template <class Op, class Arity>
class OpNode final : public OpNodeBase<Arity> {
 public:
  OpNode(Op&& op, const typename Arity::Inputs& inputs, const Tensor& output)
      : OpNodeBase<Arity>(inputs, output, saved_by<Op, Arity>), op_(std::move(op)) {}

  std::string_view name() const override { return Op::name; }

  void vjp(Tensor g, const VjpRequest& request) override {
    const auto values = this->take(Op::name, request);
    const OpSignature signature{Op::name, Arity::num_inputs(request.grads.size())};
    const Saved saved(values.inputs.data(), values.output, signature);
    auto result = call_op([&] { return op_.vjp(std::move(g), saved, NeedsGrad(request.need, signature)); });
    if constexpr (VariadicOp<Op>) {
      if (result.size() != request.grads.size()) fail_gradient_count(Op::name, result.size(), request.grads.size());
    }
    for (std::size_t i = 0; i < result.size(); ++i) request.grads[i] = std::move(result[i]);
  }

 private:
  Op op_;
};

/// What anomaly mode and TrackGraphs want to know of a recorded op.
template <class Arity>
[[gnu::noinline]] void inspect(Node& node, const typename Arity::Inputs& inputs, const Tensor& output) {
  note_origin(node);
  if (!AnomalyMode::is_enabled() || !has_nan(output)) return;
  std::size_t input = 0;
  while (input < inputs.size() && !has_nan(inputs[input])) ++input;
  fail_nan(node, input, inputs.size());
}

template <class Op, class Arity>
void record(Op&& op, const typename Arity::Inputs& inputs, Tensor& output, const RecordState& state) {
  // An op may return an input, or a tensor that somebody keeps; the node needs a handle of its own to hang on.
  if (output.impl()->autograd || output.impl()->ref_count() != 1) output = view::alias(output);
  auto node = make_ref<OpNode<Op, Arity>>(std::forward<Op>(op), inputs, output);
  if (state.notes_origin()) inspect<Arity>(*node, inputs, output);
  output.impl()->autograd = std::move(node);
}

/// op.forward(inputs...), in which nothing is recorded.
template <class Op, class... Inputs>
Tensor run_forward(Op& op, RecordState& state, const Inputs&... inputs) {
  Tensor output = with_out_of_memory(Op::name, [&] {
    const SetGradEnabled none(false, state);
    try {
      return call_op([&] { return op.forward(inputs...); });
    } catch (const UndefinedTensor&) {
      check_inputs_defined(Op::name, inputs...);
      throw;
    }
  });
  if (!output.defined()) [[unlikely]]
    fail_no_output(Op::name);
  return output;
}

}  // namespace detail

/// Runs the op on a fixed number of inputs: tensors, or what derives from Tensor, as parameters do. Throws
/// InvalidArgument if forward gives no tensor, or uses an input that is undefined, which is named; tensors that forward
/// gets no memory for are OutOfMemory in the op's name. What else a user's op throws leaves as it is, from vjp too.
template <class Op, std::derived_from<Tensor>... Inputs>
requires DifferentiableOp<Op, sizeof...(Inputs)> Tensor apply(Op op, const Inputs&... inputs) {
  if constexpr (!(std::same_as<Inputs, Tensor> && ...)) {
    return apply(std::move(op), static_cast<const Tensor&>(inputs)...);
  } else {
    detail::RecordState& state = detail::record_state();
    Tensor output = detail::run_forward(op, state, inputs...);
    if ((... || (gradient_node(inputs) != nullptr)) && state.grad_enabled) {
      detail::record<Op, detail::FixedArity<sizeof...(Inputs)>>(std::move(op), {{&inputs...}}, output, state);
    } else if (output.impl()->autograd) {
      output = view::alias(output);  // an input handed through must not carry its graph out of a NoGrad
    }
    return output;
  }
}

/// Runs the op on a list of inputs.
template <VariadicOp Op>
Tensor apply(Op op, std::span<const Tensor> inputs) {
  detail::RecordState& state = detail::record_state();
  Tensor output = detail::run_forward(op, state, inputs);
  bool needed = false;
  for (const Tensor& input : inputs) needed = needed || gradient_node(input);
  if (needed && state.grad_enabled) {
    detail::with_out_of_memory(
        Op::name, [&] { detail::record<Op, detail::VariadicArity>(std::move(op), inputs, output, state); });
  } else if (output.impl()->autograd) {
    output = view::alias(output);
  }
  return output;
}

}  // namespace dygrad
