#include <dygrad/layers/activation.h>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/layers/base/detail/options_check.h>

namespace dygrad {

Activation::Activation(const std::string& act) : act_(detail::OptionsCheck("Activation").activation(act)) {}
Tensor Activation::forward(const Tensor& x) { return act_ ? act_(x) : x; }

ReLU::ReLU() = default;
Tensor ReLU::forward(const Tensor& x) { return relu(x); }

Sigmoid::Sigmoid() = default;
Tensor Sigmoid::forward(const Tensor& x) { return sigmoid(x); }

Tanh::Tanh() = default;
Tensor Tanh::forward(const Tensor& x) { return tanh(x); }

LeakyReLU::LeakyReLU() : LeakyReLU(Options{}) {}
LeakyReLU::LeakyReLU(Options options) : options_(options) {
  detail::OptionsCheck("LeakyReLU").finite("alpha", options_.alpha);
}
Tensor LeakyReLU::forward(const Tensor& x) { return leaky_relu(x, options_.alpha); }

ELU::ELU() : ELU(Options{}) {}
ELU::ELU(Options options) : options_(options) { detail::OptionsCheck("ELU").finite("alpha", options_.alpha); }
Tensor ELU::forward(const Tensor& x) { return elu(x, options_.alpha); }

GELU::GELU() : GELU(Options{}) {}
GELU::GELU(Options options) : options_(options) {}
Tensor GELU::forward(const Tensor& x) { return gelu(x, options_.approximate); }

Softmax::Softmax() : Softmax(Options{}) {}
Softmax::Softmax(Options options) : options_(options) {}
Tensor Softmax::forward(const Tensor& x) { return softmax(x, options_.axis); }

}  // namespace dygrad
