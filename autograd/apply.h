// apply: runs an op, and records it if a gradient may be asked for. Every differentiable op goes through here, the
// library's and users' own alike. An op is a struct:
//
//   struct Square {
//     static constexpr std::string_view name = "square";
//     Tensor forward(const Tensor& x) { return ...; }                      // plain values; never records
//     static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }                     // optional: what vjp will look at
//     Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const { // written with differentiable ops
//       return {g * saved[0] * 2};
//     }
//   };
//   Tensor square(const Tensor& x) { return apply(Square{}, x); }
//
// vjp returns one gradient per input, of the input's shape; undefined where need[i] is false or the gradient is zero.
// Another number, shape or dtype makes backward throw. keep() can name the first 31 inputs.
// forward may store shapes or indices in the struct for vjp. An op with a varying number of inputs takes and returns
// spans and vectors instead: forward(std::span<const Tensor>), std::vector<Tensor> vjp(...).
#pragma once

#include <array>
#include <concepts>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/saved.h>
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

template <class Op>
SaveForBackward saved_by(NeedsGrad need) {
  if constexpr (requires { Op::save_for_backward(need); }) return Op::save_for_backward(need);
  else return save_nothing();
}

/// Fixed-size stand-in for std::vector, for ops with N inputs.
template <std::size_t N>
struct Inline {
  template <class T>
  struct List : std::array<T, N> {
    explicit List(std::size_t) : std::array<T, N>{} {}
  };
  /// What an op was called with.
  struct Inputs {
    std::array<const Tensor*, N> tensors;
    static constexpr std::size_t size() { return N; }
    const Tensor& operator[](std::size_t i) const { return *tensors[i]; }
  };
};

/// The same for ops on a list of tensors.
struct Dynamic {
  /// std::vector, but with one bool per byte.
  template <class T>
  struct List : std::vector<T> {
    using std::vector<T>::vector;
  };
  using Inputs = std::span<const Tensor>;
};
template <>
struct Dynamic::List<bool> {
  explicit List(std::size_t count) : flags(new bool[count]()) {}
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() { delete[] flags; }
  bool& operator[](std::size_t i) { return flags[i]; }
  const bool* data() const { return flags; }
  bool* flags;
};

/// What all recorded ops of one arity have in common, compiled once: the edges and the kept values.
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

  OpNodeBase(const typename Arity::Inputs& inputs, const Tensor& output, SaveForBackward (*saved_by)(NeedsGrad))
      : Node(output.shape(), output.dtype()), edges_(inputs.size()), saved_(inputs.size()) {
    List<bool> need(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      edges_[i] = Ref<Node>(gradient_node(inputs[i]));
      need[i] = static_cast<bool>(edges_[i]);
    }
    const SaveForBackward keep = saved_by(NeedsGrad(need.data()));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (keep.input(i)) saved_[i].save(inputs[i]);
    }
    if (keep.output()) output_.save(view::alias(output));
    set_inputs(edges_.data(), edges_.size());
  }
  [[gnu::noinline]] ~OpNodeBase() override = default;

  /// The kept values, for one vjp.
  struct Kept {
    List<Tensor> inputs;
    Tensor output;

    operator Saved() const { return Saved({inputs.data(), inputs.size()}, output); }
  };
  [[gnu::noinline]] Kept take(std::string_view op, bool release) {
    Kept kept{List<Tensor>(edges_.size()), Tensor()};
    if (!access_.begin()) fail_released(*this);
    if (const SavedTensor* changed = find_changed()) {
      access_.end(/*released=*/false);
      changed->fail_changed(op, changed == &output_ ? "output" : "input");
    }
    move_saved(kept, release);
    if (is_grad_enabled()) attach(kept);
    return kept;
  }

 private:
  /// For a vjp that is recorded.
  void attach(Kept& kept) {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      Tensor& input = kept.inputs[i];
      if (input.defined() && gradient_node(input) != edges_[i].get()) input = attach_input(input, edges_[i]);
    }
    if (kept.output.defined()) kept.output = attach_output(kept.output, *this);
  }
  const SavedTensor* find_changed() const {
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (saved_[i].is_changed()) return &saved_[i];
    }
    return output_.is_changed() ? &output_ : nullptr;
  }
  /// Ends the access.
  void move_saved(Kept& kept, bool release) {
    for (std::size_t i = 0; i < edges_.size(); ++i) kept.inputs[i] = saved_[i].get(release);
    kept.output = output_.get(release);
    access_.end(release);
  }

  List<Ref<Node>> edges_;
  List<SavedTensor> saved_;
  SavedTensor output_;
  mutable SavedState access_;
};

/// A recorded op: the struct, the edges and the kept values in one allocation.
template <class Op, class Arity>
class OpNode final : public OpNodeBase<Arity> {
 public:
  OpNode(Op&& op, const typename Arity::Inputs& inputs, const Tensor& output)
      : OpNodeBase<Arity>(inputs, output, saved_by<Op>), op_(std::move(op)) {}

  std::string_view name() const override { return Op::name; }

  void vjp(Tensor g, NeedsGrad need, std::span<Tensor> grads, bool release) override {
    const auto kept = this->take(Op::name, release);
    auto result = call_op([&] { return op_.vjp(std::move(g), kept, need); });
    if constexpr (VariadicOp<Op>) {
      if (result.size() != grads.size()) fail_gradient_count(Op::name, result.size(), grads.size());
    }
    for (std::size_t i = 0; i < result.size(); ++i) grads[i] = std::move(result[i]);
  }

 private:
  Op op_;
};

template <class Op, class Arity>
void record(Op&& op, const typename Arity::Inputs& inputs, Tensor& output) {
  // An op may return an input, or a tensor that somebody keeps; the node needs a handle of its own to hang on.
  if (output.impl()->autograd || output.impl()->ref_count() != 1) output = view::alias(output);
  auto node = make_ref<OpNode<Op, Arity>>(std::move(op), inputs, output);
  if (record_state().notes_origin()) note_origin(*node);
  output.impl()->autograd = std::move(node);
}

}  // namespace detail

/// Runs the op on a fixed number of inputs. Throws InvalidArgument if forward gives no tensor; tensors that forward
/// gets no memory for are OutOfMemory in the op's name. What else a user's op throws leaves as it is, from vjp too.
template <class Op, std::same_as<Tensor>... Inputs>
requires DifferentiableOp<Op, sizeof...(Inputs)> Tensor apply(Op op, const Inputs&... inputs) {
  Tensor output =
      detail::with_out_of_memory(Op::name, [&] { return detail::call_op([&] { return op.forward(inputs...); }); });
  if (!output.defined()) [[unlikely]]
    detail::fail_no_output(Op::name);
  if ((... || (gradient_node(inputs) != nullptr)) && is_grad_enabled()) {
    detail::record<Op, detail::Inline<sizeof...(Inputs)>>(std::move(op), {{&inputs...}}, output);
  } else if (output.impl()->autograd) {
    output = view::alias(output);  // an input handed through must not carry its graph out of a NoGrad
  }
  return output;
}

/// Runs the op on a list of inputs.
template <VariadicOp Op>
Tensor apply(Op op, std::span<const Tensor> inputs) {
  Tensor output =
      detail::with_out_of_memory(Op::name, [&] { return detail::call_op([&] { return op.forward(inputs); }); });
  if (!output.defined()) [[unlikely]]
    detail::fail_no_output(Op::name);
  bool needed = false;
  for (const Tensor& input : inputs) needed = needed || gradient_node(input);
  if (needed && is_grad_enabled()) {
    detail::with_out_of_memory(Op::name, [&] { detail::record<Op, detail::Dynamic>(std::move(op), inputs, output); });
  } else if (output.impl()->autograd) {
    output = view::alias(output);
  }
  return output;
}

}  // namespace dygrad
