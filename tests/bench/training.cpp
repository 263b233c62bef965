// Whole training steps: the autoencoder of examples/autoencoder, and a DCGAN for images of 64 x 64.
#include <dygrad/dygrad.h>

#include <exception>
#include <iostream>
#include <memory>

#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/training.h>

using namespace dygrad;
using namespace dygrad::bench;

namespace {

LayerPtr conv(std::int64_t from, std::int64_t to, int stride, int padding, const char* act, bool bias) {
  return make_layer<Conv2D>({.num_channels = from,
                             .num_filters = to,
                             .filter_size = 4,
                             .stride = stride,
                             .padding = padding,
                             .bias_attr = bias,
                             .act = act});
}
LayerPtr deconv(std::int64_t from, std::int64_t to, int stride, int padding, const char* act, bool bias) {
  return make_layer<Conv2DTranspose>({.num_channels = from,
                                      .num_filters = to,
                                      .filter_size = 4,
                                      .padding = padding,
                                      .stride = stride,
                                      .bias_attr = bias,
                                      .act = act});
}
LayerPtr norm(std::int64_t channels, const char* act) {
  return make_layer<BatchNorm>({.num_channels = channels, .act = act});
}
LayerPtr leaky() { return make_layer<LeakyReLU>({.alpha = 0.2}); }

struct Autoencoder {
  Sequential encoder{conv(1, 16, 2, 1, "relu", true), conv(16, 32, 2, 1, "relu", true), make_layer<Flatten>(),
                     make_layer<Linear>({.input_dim = 32 * 7 * 7, .output_dim = 64})};
  Linear spread{{.input_dim = 64, .output_dim = 32 * 7 * 7, .act = "relu"}};
  Sequential decoder{deconv(32, 16, 2, 1, "relu", true), deconv(16, 1, 2, 1, "sigmoid", true)};

  std::vector<Parameter> parameters() {
    std::vector<Parameter> all = encoder.parameters();
    for (Layer* part : {static_cast<Layer*>(&spread), static_cast<Layer*>(&decoder)}) {
      for (const Parameter& p : part->parameters()) all.push_back(p);
    }
    return all;
  }
  Tensor operator()(const Tensor& x) { return decoder(spread(encoder(x)).reshape({-1, 32, 7, 7})); }
};

struct AutoencoderStep {
  Autoencoder model;
  Adam optimizer{model.parameters(), {.learning_rate = 1e-3}};
  Tensor images;

  explicit AutoencoderStep(std::int64_t batch) : images(uniform({batch, 1, 28, 28})) {}
  void operator()() {
    const Tensor loss = mse_loss(model(images), images);
    loss.backward();
    optimizer.step();
    optimizer.clear_gradients();
    check_loss(loss.item());
  }
};

struct DcganStep {
  Sequential generator{
      deconv(100, 512, 1, 0, "", false), norm(512, "relu"), deconv(512, 256, 2, 1, "", false), norm(256, "relu"),
      deconv(256, 128, 2, 1, "", false), norm(128, "relu"), deconv(128, 64, 2, 1, "", false),  norm(64, "relu"),
      deconv(64, 3, 2, 1, "tanh", false)};
  Sequential discriminator{conv(3, 64, 2, 1, "", false),
                           leaky(),
                           conv(64, 128, 2, 1, "", false),
                           norm(128, ""),
                           leaky(),
                           conv(128, 256, 2, 1, "", false),
                           norm(256, ""),
                           leaky(),
                           conv(256, 512, 2, 1, "", false),
                           norm(512, ""),
                           leaky(),
                           conv(512, 1, 1, 0, "", false)};
  Adam generator_optimizer{generator.parameters(), {.learning_rate = 2e-4, .beta1 = 0.5}};
  Adam discriminator_optimizer{discriminator.parameters(), {.learning_rate = 2e-4, .beta1 = 0.5}};
  Tensor noise, images, yes, no;

  explicit DcganStep(std::int64_t batch)
      : noise(normal({batch, 100, 1, 1})),
        images(uniform({batch, 3, 64, 64}, -1, 1)),
        yes(ones({batch, 1, 1, 1})),
        no(zeros({batch, 1, 1, 1})) {}

  void operator()() {
    const Tensor fakes = generator(noise);
    bce_with_logits(discriminator(images), yes).backward();
    bce_with_logits(discriminator(fakes.detach()), no).backward();
    discriminator_optimizer.step();
    discriminator_optimizer.clear_gradients();

    const Tensor loss = bce_with_logits(discriminator(fakes), yes);
    loss.backward();
    generator_optimizer.step();
    generator_optimizer.clear_gradients();
    discriminator_optimizer.clear_gradients();
    check_loss(loss.item());
  }
};

template <class Step>
Case make_case(const std::string& name, std::int64_t batch) {
  return {name, [batch] {
            const auto step = std::make_shared<Step>(batch);
            return Ready{[step] { (*step)(); }, {{"batch", batch}}};
          }};
}

}  // namespace

int main(int argc, char** argv) {
  Program program("training", "dygrad", "Times training steps of an autoencoder and of a DCGAN.");
  std::string compute = "standard";
  program.options()
      .add_option("--compute", compute,
                  "dtype: as the tensors; direct: the same by direct sums; bf16: products of bfloat16 numbers")
      ->check(CLI::IsMember({"standard", "strict", "bf16"}));
  program.parse(argc, argv);
  try {
    const ExecutionGuard guard({.math_mode = compute == "bf16"     ? MathMode::bfloat16
                                             : compute == "strict" ? MathMode::strict
                                                                   : MathMode::standard});
    program.facts = {{"compute", compute}};
    set_num_threads(program.threads());
    const Batches batches(program.quick());
    return run_training(program, {make_case<AutoencoderStep>("autoencoder", batches.autoencoder),
                                  make_case<DcganStep>("dcgan", batches.dcgan)});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
