// Layer: a function with parameters. Registers what it owns by name, walks its sublayers, calls hooks, and gives and
// takes its state. Users derive from it:
//
//   struct Block : Layer {
//     Conv2D conv{{.num_channels = 3, .num_filters = 8, .filter_size = 3}};
//     BatchNorm norm{{.num_channels = 8, .act = "relu"}};
//     Block() {
//       register_layer("conv", conv);
//       register_layer("norm", norm);
//     }
//     Tensor forward(const Tensor& x) override { return norm(conv(x)); }
//   };
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/core/base/mutex.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/tensor/tensor.h>
#include <dygrad/layers/base/layer_parts.h>
#include <dygrad/layers/base/parameter.h>
#include <dygrad/layers/base/state_dict.h>

namespace dygrad {

/// What create_parameter makes.
struct ParameterSpec {
  Shape shape{};
  ParamAttrLike attr{};
  bool is_bias = false;               ///< named b_<n> and 0 by default; others are named w_<n> and Xavier by default
  Initializer default_initializer{};  ///< used if neither `attr` nor the global initializer says otherwise
};

struct StateDictOptions {
  bool use_structured_name = true;  ///< false: names are Parameter::name()s instead of paths
};

struct SetDictOptions {
  bool strict = true;               ///< false: take what fits, and report the rest
  bool use_structured_name = true;  ///< as in StateDictOptions
};

/// Runs before forward; a defined result replaces the input.
using ForwardPreHook = std::function<Tensor(Layer& layer, const Tensor& input)>;
/// Runs after forward; a defined result replaces the output.
using ForwardPostHook = std::function<Tensor(Layer& layer, const Tensor& input, const Tensor& output)>;

/// Neither copied nor moved, because members are registered by reference. One thread at a time may change a layer;
/// forward passes in evaluation mode may run side by side. Layers may share sublayers but form no cycle: adding one
/// that holds this layer, at any depth, throws InvalidArgument. They may nest as deeply as memory allows for all that
/// walks over them, and for their destruction; a call goes through each level on the stack, of which 8 MiB hold some
/// ten thousand. A member function that throws leaves names, values and modes as they were, and a single layer's
/// forward its statistics and random stream too. A forward of several layers or hooks is no transaction: what was run
/// before the one that throws has moved its own. Models on different threads share default_generator(), whose draws
/// interleave, and the counts of names: for runs that repeat, give layers seeds and each thread a UniqueNameGuard.
/// set_num_threads and guards count per thread.
/// A layer that a shared_ptr owns lives until its own call ends, and its members with it: a hook may drop it. A member
/// that is called directly does not keep its owner alive. Layers derive from enable_shared_from_this, as
/// torch::nn::Module does; a derived class must not do so again.
class DYGRAD_API Layer : public std::enable_shared_from_this<Layer> {
 public:
  /// Without a name scope the layer is called after its class: MyGenerator -> my_generator_0.
  /// `dtype` is that of parameters it creates; throws DtypeError unless floating-point.
  explicit Layer(std::string name_scope = {}, DType dtype = DType::float32);
  virtual ~Layer();
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Pre-hooks, forward, post-hooks. Errors thrown inside name the layer.
  Tensor operator()(const Tensor& x) {
    return call(x, [this](const Tensor& input) { return forward(input); });
  }
  /// What the layer computes; to be overridden. Throws Error here.
  virtual Tensor forward(const Tensor& x);

  /// Unique: "conv2d_transpose_0". The number is taken when first asked for, at the latest with the first parameter.
  const std::string& full_name() const;
  DType dtype() const { return dtype_; }

  // ---- what it consists of: depth first, own entries before sublayers', each distinct object once -----------------

  std::vector<Parameter> parameters(bool include_sublayers = true) const;
  /// Paths joined with '.'; undefined parameters are left out.
  std::vector<std::pair<std::string, Parameter>> named_parameters(const std::string& prefix = {},
                                                                  bool include_sublayers = true) const;
  std::vector<Tensor> buffers(bool include_sublayers = true) const;
  std::vector<std::pair<std::string, Tensor>> named_buffers(const std::string& prefix = {},
                                                            bool include_sublayers = true) const;
  std::vector<Layer*> sublayers(bool include_self = false);
  std::vector<std::pair<std::string, Layer*>> named_sublayers(const std::string& prefix = {},
                                                              bool include_self = false);
  /// Direct sublayers only.
  std::vector<Layer*> children();
  std::vector<std::pair<std::string, Layer*>> named_children();
  /// Elements in all parameters.
  std::int64_t num_parameters() const;

  // ---- modes and gradients ----------------------------------------------------------------------------------------

  /// Training mode (the default) or evaluation mode, for this layer and its sublayers only. Dropout and BatchNorm read
  /// it; recording of gradients is another matter, see NoGrad.
  void train() { set_training(true); }
  void eval() { set_training(false); }
  bool training() const { return training_; }
  /// Drops the gradients of all trainable parameters.
  void clear_gradients();
  /// Calls `visit` on every sublayer, children first, and at last on this layer. Throws InvalidArgument if it is empty.
  Layer& apply(const std::function<void(Layer&)>& visit);

  // ---- state ------------------------------------------------------------------------------------------------------

  /// Live handles of all parameters and persistable buffers, by path; a shared one appears under each of its paths.
  /// With use_structured_name = false, by parameter name, each once; buffers keep their paths. Throws InvalidArgument
  /// if two parameters, made in different naming scopes, then have one name, or if layers that are shared at many
  /// levels make more than 2^20 paths.
  StateDict state_dict(StateDictOptions options = {}) const;
  /// Copies values in. Strict: throws InvalidArgument listing every missing or unexpected name, and those with another
  /// shape or dtype, before anything is changed. Otherwise returns them and takes what fits. Values are taken as they
  /// are, NaN included.
  LoadReport set_dict(const StateDict& state, SetDictOptions options = {});
  /// What set_dict would find; changes nothing.
  LoadReport compare_dict(const StateDict& state, StateDictOptions options = {}) const;

  // ---- hooks, which run in order of registration ------------------------------------------------------------------

  /// Both throw InvalidArgument for an empty function.
  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  HookHandle register_forward_post_hook(ForwardPostHook hook);

  // ---- adding parts that the layer then owns; names as in register_parameter --------------------------------------

  Parameter& add_parameter(const std::string& name, Parameter parameter);
  Layer& add_sublayer(const std::string& name, LayerPtr layer);

  /// A named, initialised parameter in this layer's dtype, not yet registered. Undefined for `.attr = false` of a bias.
  /// Throws ShapeError unless every extent is positive, InvalidArgument for a weight with `.attr = false` or a name
  /// that is taken.
  Parameter create_parameter(const ParameterSpec& spec);

 protected:
  // Members are registered by reference, in the constructor, so that later assignments are seen. Names are not empty,
  // have no '.', and are unique within the layer: InvalidArgument otherwise. Each returns its argument.
  Parameter& register_parameter(const std::string& name, Parameter& member);
  Tensor& register_buffer(const std::string& name, Tensor& member, bool persistable = true);
  Layer& register_layer(const std::string& name, Layer& member);
  /// A source of random numbers of the layer's own, which checkpoints keep.
  Generator& register_generator(const std::string& name, Generator& member);

  /// Several parameters at once: all or, if anything is wrong with one of them, none, and no name is taken.
  std::vector<Parameter> create_parameters(std::span<const ParameterSpec> specs);

  /// What operator() does around `f`; for layers whose forward takes more than one argument.
  template <class F>
  Tensor call(const Tensor& x, F&& f) {
    const LayerPtr owner = weak_from_this().lock();  // a hook may drop the last other handle
    return with_name([&] {
      const RecordScope scope(full_name());
      if (pre_hooks_.empty() && post_hooks_.empty()) return f(x);
      const Tensor input = run_pre_hooks(x);
      return run_post_hooks(input, f(input));
    });
  }

  /// Runs `f`; errors of this library that leave it name the layer, once.
  template <class F>
  Tensor with_name(F&& f) const {
    try {
      return f();
    } catch (...) {
      rethrow_with_name();
    }
  }

  const std::vector<detail::NamedSublayer>& child_entries() const { return children_; }
  /// add_sublayer, whose errors name `op`.
  Layer& own_sublayer(const char* op, const std::string& name, LayerPtr layer);

 private:
  friend struct detail::LayerWalk;
  friend class LayerContainer;
  friend class ParameterList;

  Tensor run_pre_hooks(const Tensor& x);
  Tensor run_post_hooks(const Tensor& input, Tensor output);
  [[noreturn]] void rethrow_with_name() const;
  void check_new_name(const char* op, const std::string& name) const;
  bool has_part(const std::string& name) const;
  /// Appends Entry{name, parts...} to one of the lists of parts. All or nothing.
  template <class Entry, class... Parts>
  void add_part(const char* op, std::vector<Entry>& list, const std::string& name, Parts&&... parts);
  void forget_name(const std::string& name);
  /// Null if there is none; positions name no child here.
  Layer* find_named_child(std::string_view name) const;
  /// What find_named_child gives from now on; never fails.
  void replace_named_child(const std::string& name, Layer& layer);
  Parameter& own_parameter(const char* op, const std::string& name, Parameter parameter);
  /// Throws InvalidArgument if `added` is this layer or holds it.
  void check_no_cycle(const char* op, const std::string& name, const Layer& added) const;
  void set_training(bool training);

  std::string name_scope_;
  DType dtype_;
  bool training_ = true;
  std::vector<detail::NamedParameter> parameters_;
  std::vector<detail::NamedBuffer> buffers_;
  std::vector<detail::NamedSublayer> children_;
  std::vector<detail::NamedGenerator> generators_;
  bool has_positions_ = false;  // numbers are names of positions, and of nothing else
  // Of all parts but those that a position names, if there are many; dropped where memory for it is missing.
  struct Names;
  mutable std::unique_ptr<Names> names_;
  std::atomic<bool> is_part_{false};  // of another layer, now or before
  HookList<ForwardPreHook> pre_hooks_;
  HookList<ForwardPostHook> post_hooks_;
  int next_weight_ = 0;
  int next_bias_ = 0;
  mutable std::atomic<bool> is_named_{false};
  mutable Mutex naming_mutex_;
  mutable std::string full_name_;
};

namespace detail {
/// make(), a user's constructor perhaps: of what it throws only std::bad_alloc becomes OutOfMemory.
template <class Make>
auto make_layer_by(const Make& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    if (is_users_exception()) throw;
    fail_out_of_memory("make_layer");
  }
}
}  // namespace detail

/// A layer with shared ownership, for containers: make_layer<Linear>({.input_dim = 8, .output_dim = 2}). For classes
/// with an Options struct or without arguments; others are made by std::make_shared<L>(...).
template <class L>
std::shared_ptr<L> make_layer(typename L::Options options) {
  return detail::make_layer_by([&] { return std::make_shared<L>(std::move(options)); });
}
template <class L>
std::shared_ptr<L> make_layer() {
  return detail::make_layer_by([] { return std::make_shared<L>(); });
}

}  // namespace dygrad
