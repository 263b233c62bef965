// The members of Layer that walk its sublayers.
#include <unordered_set>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/base/detail/layer_walk.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

using detail::join;
using detail::LayerWalk;

void Layer::check_no_cycle(const char* op, const std::string& name, const Layer& added) const {
  std::string place;
  bool found = &added == this;
  // Only a layer that is part of another can be below what is added.
  if (!found && is_part_ && !added.children_.empty()) {
    detail::with_out_of_memory(op, [&] {
      LayerWalk::run(added, {}, [&](const std::string& path, const Layer& layer) {
        if (&layer != this) return;
        found = true;
        place = path;
      });
    });
  }
  if (!found) return;
  throw InvalidArgument(Message(op, "a layer cannot be part of itself.")
                            .line("the layer to add as \"{}\" {}", name,
                                  place.empty() ? "is this layer" : fmt::format("holds this one as \"{}\"", place))
                            .expected("layers without a cycle")
                            .got("one")
                            .fix("keep a plain pointer to a layer above, and register only those below"));
}

std::vector<std::pair<std::string, Parameter>> Layer::named_parameters(const std::string& prefix,
                                                                       bool include_sublayers) const {
  return detail::with_out_of_memory("named_parameters", [&] {
    std::vector<std::pair<std::string, Parameter>> found;
    LayerWalk::run_parameters(*this, prefix, include_sublayers, [&](const std::string& path, const auto& entry) {
      found.emplace_back(join(path, entry.name), *entry.parameter);
    });
    return found;
  });
}

std::vector<Parameter> Layer::parameters(bool include_sublayers) const {
  return detail::with_out_of_memory("parameters", [&] {
    std::vector<Parameter> found;
    LayerWalk::run_parameters(*this, {}, include_sublayers,
                              [&](const std::string&, const auto& entry) { found.push_back(*entry.parameter); });
    return found;
  });
}

std::vector<std::pair<std::string, Tensor>> Layer::named_buffers(const std::string& prefix,
                                                                 bool include_sublayers) const {
  return detail::with_out_of_memory("named_buffers", [&] {
    std::vector<std::pair<std::string, Tensor>> found;
    LayerWalk::run_buffers(*this, prefix, include_sublayers, [&](const std::string& path, const auto& entry) {
      found.emplace_back(join(path, entry.name), *entry.tensor);
    });
    return found;
  });
}

std::vector<Tensor> Layer::buffers(bool include_sublayers) const {
  return detail::with_out_of_memory("buffers", [&] {
    std::vector<Tensor> found;
    LayerWalk::run_buffers(*this, {}, include_sublayers,
                           [&](const std::string&, const auto& entry) { found.push_back(*entry.tensor); });
    return found;
  });
}

std::vector<std::pair<std::string, Layer*>> Layer::named_sublayers(const std::string& prefix, bool include_self) {
  return detail::with_out_of_memory("named_sublayers", [&] {
    std::vector<std::pair<std::string, Layer*>> found;
    LayerWalk::run(*this, prefix, [&](const std::string& path, const Layer& layer) {
      // Reached from this non-const layer, so none of them is const.
      if (&layer != this || include_self) found.emplace_back(path, const_cast<Layer*>(&layer));
    });
    return found;
  });
}

std::vector<Layer*> Layer::sublayers(bool include_self) {
  return detail::with_out_of_memory("sublayers", [&] {
    std::vector<Layer*> found;
    LayerWalk::run(*this, {}, [&](const std::string&, const Layer& layer) {
      if (&layer != this || include_self) found.push_back(const_cast<Layer*>(&layer));
    });
    return found;
  });
}

std::vector<std::pair<std::string, Layer*>> Layer::named_children() {
  return detail::with_out_of_memory("named_children", [&] {
    std::vector<std::pair<std::string, Layer*>> found;
    std::unordered_set<const Layer*> seen;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (seen.insert(children_[i].layer).second) found.emplace_back(detail::name_at(children_, i), children_[i].layer);
    }
    return found;
  });
}

std::vector<Layer*> Layer::children() {
  return detail::with_out_of_memory("children", [&] {
    std::vector<Layer*> found;
    for (const auto& [name, layer] : named_children()) found.push_back(layer);
    return found;
  });
}

std::int64_t Layer::num_parameters() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters()) count += parameter.num_elements();
  return count;
}

void Layer::set_training(bool training) {
  for (Layer* layer : sublayers(/*include_self=*/true)) layer->training_ = training;
}

void Layer::clear_gradients() {
  for (Parameter& parameter : parameters()) {
    if (parameter.trainable()) parameter.clear_gradient();
  }
}

Layer& Layer::apply(const std::function<void(Layer&)>& visit) {
  if (!visit) throw InvalidArgument(Message("apply", "the function is empty.").fix("pass a function or a lambda"));
  std::vector<Layer*> order;     // complete before the first visit, which may add and drop layers
  std::vector<LayerPtr> owners;  // of those in `order`
  detail::with_out_of_memory("apply", [&] {
    owners.push_back(weak_from_this().lock());
    LayerWalk::run(
        *this, {}, detail::Shared::once, [](const std::string&, const Layer&) {},
        [&](const Layer& layer) {
          order.push_back(const_cast<Layer*>(&layer));
          for (const detail::NamedSublayer& child : layer.children_) {
            if (child.owner) owners.push_back(child.owner);
          }
        });
  });
  for (Layer* layer : order) visit(*layer);
  return *this;
}

}  // namespace dygrad
