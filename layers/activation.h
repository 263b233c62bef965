// Activations as layers: by name, and the common ones with their attributes. See the functions of the same names.
#pragma once

#include <string>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Any activation with default attributes, by name: Activation("hard_swish"). Throws InvalidArgument for an unknown
/// one.
class DYGRAD_API Activation : public Layer {
 public:
  explicit Activation(const std::string& act);
  Tensor forward(const Tensor& x) override;

 private:
  ActivationFunction act_;
};

class DYGRAD_API ReLU : public Layer {
 public:
  ReLU();
  Tensor forward(const Tensor& x) override;
};

class DYGRAD_API Sigmoid : public Layer {
 public:
  Sigmoid();
  Tensor forward(const Tensor& x) override;
};

class DYGRAD_API Tanh : public Layer {
 public:
  Tanh();
  Tensor forward(const Tensor& x) override;
};

/// Throws InvalidArgument unless alpha is finite.
class DYGRAD_API LeakyReLU : public Layer {
 public:
  struct Options {
    double alpha = 0.02;
  };
  LeakyReLU();
  explicit LeakyReLU(Options options);
  Tensor forward(const Tensor& x) override;

 private:
  Options options_;
};

/// Throws InvalidArgument unless alpha is finite.
class DYGRAD_API ELU : public Layer {
 public:
  struct Options {
    double alpha = 1;
  };
  ELU();
  explicit ELU(Options options);
  Tensor forward(const Tensor& x) override;

 private:
  Options options_;
};

class DYGRAD_API GELU : public Layer {
 public:
  struct Options {
    bool approximate = false;
  };
  GELU();
  explicit GELU(Options options);
  Tensor forward(const Tensor& x) override;

 private:
  Options options_;
};

class DYGRAD_API Softmax : public Layer {
 public:
  struct Options {
    int axis = -1;
  };
  Softmax();
  explicit Softmax(Options options);
  Tensor forward(const Tensor& x) override;

 private:
  Options options_;
};

}  // namespace dygrad
