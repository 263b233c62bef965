// What a layer has registered, by name. Not members of Layer, whose names would hide those of users' own layers.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <dygrad/core/tensor/tensor.h>
#include <dygrad/layers/base/parameter.h>

namespace dygrad {

class Generator;
class Layer;
using LayerPtr = std::shared_ptr<Layer>;

namespace detail {

struct NamedParameter {
  std::string name;
  Parameter* parameter;
  std::shared_ptr<Parameter> owner;  // null for members
};

struct NamedBuffer {
  std::string name;
  Tensor* tensor;
  bool persistable;
};

struct NamedGenerator {
  std::string name;
  Generator* generator;
};

struct NamedSublayer {
  std::string name;  // empty for an element of a container that its position names
  Layer* layer;
  LayerPtr owner;  // null for members
};

inline std::string name_at(const std::vector<NamedSublayer>& list, std::size_t i) {
  return list[i].name.empty() ? std::to_string(i) : list[i].name;
}

struct LayerWalk;

}  // namespace detail

}  // namespace dygrad
