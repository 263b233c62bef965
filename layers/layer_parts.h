// What a layer has registered, by name. Not members of Layer, whose names would hide those of users' own layers.
#pragma once

#include <memory>
#include <string>

#include <dygrad/core/tensor.h>
#include <dygrad/layers/parameter.h>

namespace dygrad {

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

struct NamedSublayer {
  std::string name;
  Layer* layer;
  LayerPtr owner;  // null for members
};

struct LayerWalk;

}  // namespace detail

}  // namespace dygrad
