#include <dygrad/layers/base/layer.h>

#include <algorithm>
#include <concepts>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <typeinfo>

#include <dygrad/autograd/grad_mode.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/detail/generator_rollback.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/init/fan.h>

namespace dygrad {

namespace {

void check_spec(const ParameterSpec& spec) {
  for (std::int64_t extent : spec.shape) {
    if (extent < 1) {
      throw ShapeError(Message("create_parameter", "every extent must be positive.")
                           .expected("at least 1")
                           .got("{}", spec.shape)
                           .fix("give extents of 1 or more"));
    }
  }
  detail::check_learning_rate_factor("create_parameter", spec.attr.attr().learning_rate);
  if (!spec.attr.wanted() && !spec.is_bias) {
    throw InvalidArgument(Message("create_parameter", "param_attr must not be false.")
                              .expected("a name, an initializer, a regularizer or a ParamAttr")
                              .got("false")
                              .fix("only bias_attr may be false"));
  }
}

/// User names that are taken, or given twice, are found before anything is made.
void check_names(std::span<const ParameterSpec> specs) {
  std::set<std::string_view> names;
  for (const ParameterSpec& spec : specs) {
    const std::string& name = spec.attr.attr().name;
    if (name.empty() || !spec.attr.wanted()) continue;
    detail::check_parameter_name(name);
    if (!names.insert(name).second) {
      throw InvalidArgument(Message("create_parameter", "the name \"{}\" is given to two parameters.", name)
                                .fix("choose another name for one of them"));
    }
  }
}

Initializer initializer_of(const ParameterSpec& spec) {
  if (spec.attr.attr().initializer) return spec.attr.attr().initializer;
  if (Initializer global = detail::global_initializer(spec.is_bias)) return global;
  if (spec.default_initializer) return spec.default_initializer;
  return spec.is_bias ? Initializer(Constant{.value = 0}) : Initializer(Xavier{});
}

Tensor make_value(const ParameterSpec& spec, DType dtype) {
  Tensor value = Tensor::empty(spec.shape, dtype);
  initializer_of(spec)(value);
  if (!value.defined() || value.shape() != spec.shape || value.dtype() != dtype) {
    throw InvalidArgument(Message("create_parameter", "the initializer replaced the tensor by one that does not fit.")
                              .expected("{} {}", dtype, spec.shape)
                              .got("{}", value.defined() ? fmt::format("{} {}", value.dtype(), value.shape())
                                                         : std::string("an undefined one"))
                              .fix("let the initializer write into the tensor that it is given"));
  }
  return kernel::contiguous(value);
}

}  // namespace

Layer::Layer(std::string name_scope, DType dtype) : name_scope_(std::move(name_scope)), dtype_(dtype) {
  if (!is_floating(dtype)) {
    throw DtypeError(Message("Layer", "the dtype cannot be trained.")
                         .expected("float32 or float64")
                         .got("{}", dtype)
                         .fix("choose float32 or float64"));
  }
}

// Sublayers go one after the other, not each from within the one above it, so that deep nesting needs no deep stack.
Layer::~Layer() {
  static constinit thread_local std::vector<LayerPtr>* waiting = nullptr;
  const auto hand_over = [this] {
    for (detail::NamedSublayer& child : children_) {
      if (!child.owner) continue;
      try {
        waiting->push_back(std::move(child.owner));
      } catch (const std::bad_alloc&) {
        child.owner.reset();  // goes from here, then
      }
    }
  };
  if (waiting) {
    hand_over();
    return;
  }
  std::vector<LayerPtr> list;
  waiting = &list;
  hand_over();
  while (!list.empty()) {
    const LayerPtr next = std::move(list.back());
    list.pop_back();
  }
  waiting = nullptr;
}

Tensor Layer::forward(const Tensor&) {
  throw Error(
      Message("forward", "not implemented by {}.", full_name()).fix("override Tensor forward(const Tensor& x)"));
}

const std::string& Layer::full_name() const {
  if (is_named_.load(std::memory_order_acquire)) return full_name_;
  const std::scoped_lock lock(naming_mutex_);
  if (!is_named_.load(std::memory_order_relaxed)) {
    full_name_ = detail::with_out_of_memory("full_name", [this] {
      return detail::next_layer_name(name_scope_.empty() ? detail::snake_case(detail::class_name(typeid(*this)))
                                                         : name_scope_);
    });
    is_named_.store(true, std::memory_order_release);
  }
  return full_name_;
}

Parameter Layer::create_parameter(const ParameterSpec& spec) {
  return std::move(create_parameters({&spec, 1}).front());
}

std::vector<Parameter> Layer::create_parameters(std::span<const ParameterSpec> specs) {
  return detail::with_out_of_memory("create_parameter", [&] {
    for (const ParameterSpec& spec : specs) check_spec(spec);
    check_names(specs);
    const NoGrad no_grad;
    detail::GeneratorRollback draws(default_generator());
    std::vector<Tensor> values;
    for (const ParameterSpec& spec : specs) values.push_back(spec.attr.wanted() ? make_value(spec, dtype_) : Tensor());

    // Room to register them, so that a constructor does not fail after the draws.
    if (const std::size_t needed = parameters_.size() + specs.size(); needed > parameters_.capacity())
      parameters_.reserve(std::max(needed, 2 * parameters_.capacity()));
    int next_weight = next_weight_, next_bias = next_bias_;
    std::vector<Parameter> parameters;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (!values[i].defined()) {
        parameters.emplace_back();
        continue;
      }
      const ParamAttr& attr = specs[i].attr.attr();
      auto name = !attr.name.empty() ? detail::claim_parameter_name(attr.name)
                  : specs[i].is_bias ? detail::claim_numbered_name(full_name() + ".b", next_bias)
                                     : detail::claim_numbered_name(full_name() + ".w", next_weight);
      parameters.emplace_back(values[i], attr, std::move(name));
    }
    next_weight_ = next_weight;
    next_bias_ = next_bias;
    draws.keep();
    return parameters;
  });
}

void Layer::check_new_name(const char* op, const std::string& name) const {
  const auto fail = [&](const std::string& problem) {
    throw InvalidArgument(Message(op, problem)
                              .line("layer {}", full_name())
                              .fix("choose a name of its own without dots: they separate the names of nested layers"));
  };
  if (name.empty()) fail("the name must not be empty.");
  if (name.find('.') != std::string::npos) fail(fmt::format("the name \"{}\" must not contain a '.'.", name));
  if (has_part(name)) fail(fmt::format("the layer has a part named \"{}\" already.", name));
  if (has_positions_ && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) {
    throw InvalidArgument(Message(op, "the name \"{}\" is a number, which names a position.", name)
                              .line("layer {}", full_name())
                              .expected("a name with a character other than digits")
                              .got("\"{}\"", name)
                              .fix("choose another name, or add it without one"));
  }
}

struct Layer::Names : std::map<std::string, Layer*, std::less<>> {};  // null for parts that are no layers

namespace {
template <class Entry>
Layer* layer_of(const Entry& entry) {
  if constexpr (std::same_as<Entry, detail::NamedSublayer>) return entry.layer;
  else return nullptr;
}
}  // namespace

bool Layer::has_part(const std::string& name) const {
  constexpr std::size_t kFew = 16;  // no search in a tree is faster, and layers of few parts need no memory for it
  if (!names_ && parameters_.size() + buffers_.size() + children_.size() + generators_.size() > kFew) {
    try {
      auto names = std::make_unique<Names>();
      const auto collect = [&](const auto& list) {
        for (const auto& entry : list) names->emplace(entry.name, layer_of(entry));
      };
      collect(parameters_);
      collect(buffers_);
      collect(children_);
      collect(generators_);
      names_ = std::move(names);
    } catch (const std::bad_alloc&) {  // then they are searched
    }
  }
  if (names_) return names_->contains(name);
  const auto is_in = [&](const auto& list) {
    return std::ranges::any_of(list, [&](const auto& entry) { return entry.name == name; });
  };
  return is_in(parameters_) || is_in(buffers_) || is_in(children_) || is_in(generators_);
}

void Layer::forget_name(const std::string& name) {
  if (names_) names_->erase(name);
}

Layer* Layer::find_named_child(std::string_view name) const {
  if (name.empty()) return nullptr;
  if (names_) {
    const auto found = names_->find(name);
    return found == names_->end() ? nullptr : found->second;
  }
  const auto found = std::ranges::find(children_, name, &detail::NamedSublayer::name);
  return found == children_.end() ? nullptr : found->layer;
}

void Layer::replace_named_child(const std::string& name, Layer& layer) {
  if (names_ && !name.empty()) names_->find(name)->second = &layer;
}

template <class Entry, class... Parts>
void Layer::add_part(const char* op, std::vector<Entry>& list, const std::string& name, Parts&&... parts) {
  detail::with_out_of_memory(op, [&] { list.push_back({name, std::forward<Parts>(parts)...}); });
  if (!names_) return;
  try {
    names_->emplace(name, layer_of(list.back()));
  } catch (const std::bad_alloc&) {
    names_.reset();
  }
}

Parameter& Layer::register_parameter(const std::string& name, Parameter& member) {
  check_new_name("register_parameter", name);
  add_part("register_parameter", parameters_, name, &member, nullptr);
  return member;
}

Parameter& Layer::add_parameter(const std::string& name, Parameter parameter) {
  check_new_name("add_parameter", name);
  return own_parameter("add_parameter", name, std::move(parameter));
}

Parameter& Layer::own_parameter(const char* op, const std::string& name, Parameter parameter) {
  return detail::with_out_of_memory(op, [&]() -> Parameter& {
    auto owned = std::make_shared<Parameter>(std::move(parameter));
    Parameter& place = *owned;
    add_part(op, parameters_, name, &place, std::move(owned));
    return place;
  });
}

Tensor& Layer::register_buffer(const std::string& name, Tensor& member, bool persistable) {
  check_new_name("register_buffer", name);
  add_part("register_buffer", buffers_, name, &member, persistable);
  return member;
}

Generator& Layer::register_generator(const std::string& name, Generator& member) {
  check_new_name("register_generator", name);
  add_part("register_generator", generators_, name, &member);
  return member;
}

Layer& Layer::register_layer(const std::string& name, Layer& member) {
  check_new_name("register_layer", name);
  check_no_cycle("register_layer", name, member);
  add_part("register_layer", children_, name, &member, nullptr);
  member.is_part_ = true;
  return member;
}

Layer& Layer::add_sublayer(const std::string& name, LayerPtr layer) {
  return own_sublayer("add_sublayer", name, std::move(layer));
}

Layer& Layer::own_sublayer(const char* op, const std::string& name, LayerPtr layer) {
  check_new_name(op, name);
  if (!layer)
    throw InvalidArgument(Message(op, "the layer \"{}\" is null.", name)
                              .fix("pass a layer, for instance std::make_shared<Linear>(options)"));
  check_no_cycle(op, name, *layer);
  Layer& added = *layer;
  add_part(op, children_, name, &added, std::move(layer));
  added.is_part_ = true;
  return added;
}

HookHandle Layer::register_forward_pre_hook(ForwardPreHook hook) {
  constexpr std::string_view op = "register_forward_pre_hook";
  return detail::with_out_of_memory(op, [&] { return pre_hooks_.add(std::move(hook), op); });
}
HookHandle Layer::register_forward_post_hook(ForwardPostHook hook) {
  constexpr std::string_view op = "register_forward_post_hook";
  return detail::with_out_of_memory(op, [&] { return post_hooks_.add(std::move(hook), op); });
}

Tensor Layer::run_pre_hooks(const Tensor& x) {
  Tensor input = x;
  pre_hooks_.for_each([&](const ForwardPreHook& hook) {
    Tensor replaced = detail::call_user([&] { return hook(*this, input); });
    if (replaced.defined()) input = std::move(replaced);
  });
  return input;
}

Tensor Layer::run_post_hooks(const Tensor& input, Tensor output) {
  post_hooks_.for_each([&](const ForwardPostHook& hook) {
    Tensor replaced = detail::call_user([&] { return hook(*this, input, output); });
    if (replaced.defined()) output = std::move(replaced);
  });
  return output;
}

void Layer::rethrow_with_name() const {
  try {
    throw;
  } catch (Error& error) {
    try {
      error.add_context("in layer " + full_name());
    } catch (const OutOfMemory&) {  // then it leaves without the name
    } catch (const std::bad_alloc&) {
    }
    throw;
  } catch (const std::bad_alloc&) {
    if (detail::is_users_exception()) throw;
    detail::with_out_of_memory("layer", [this] { detail::fail_out_of_memory("layer " + full_name()); });
    throw;  // never reached
  }
}

}  // namespace dygrad
