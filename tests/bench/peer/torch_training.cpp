// libtorch's side of bench_training.
#include <torch/torch.h>

#include <exception>
#include <iostream>
#include <memory>

#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/training.h>

using namespace dygrad::bench;
using torch::Tensor;
namespace nn = torch::nn;

namespace {

nn::Conv2d conv(std::int64_t from, std::int64_t to, int stride, int padding, bool bias) {
  return nn::Conv2d(nn::Conv2dOptions(from, to, 4).stride(stride).padding(padding).bias(bias));
}
nn::ConvTranspose2d deconv(std::int64_t from, std::int64_t to, int stride, int padding, bool bias) {
  return nn::ConvTranspose2d(nn::ConvTranspose2dOptions(from, to, 4).stride(stride).padding(padding).bias(bias));
}
nn::BatchNorm2d norm(std::int64_t channels) { return nn::BatchNorm2d(nn::BatchNorm2dOptions(channels)); }
nn::ReLU relu() { return nn::ReLU(nn::ReLUOptions(true)); }
nn::LeakyReLU leaky() { return nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2).inplace(true)); }

/// The parameters of all parts, images and filters in `layout`.
std::vector<Tensor> parameters_of(std::initializer_list<nn::Sequential> parts, at::MemoryFormat layout) {
  std::vector<Tensor> all;
  for (const nn::Sequential& part : parts) {
    for (Tensor& p : part->parameters()) {
      if (p.dim() == 4) p.set_data(p.data().contiguous(layout));
      all.push_back(p);
    }
  }
  return all;
}

struct AutoencoderStep {
  nn::Sequential encoder{conv(1, 16, 2, 1, true),   relu(), conv(16, 32, 2, 1, true), relu(), nn::Flatten(),
                         nn::Linear(32 * 7 * 7, 64)};
  nn::Sequential spread{nn::Linear(64, 32 * 7 * 7), relu()};
  nn::Sequential decoder{deconv(32, 16, 2, 1, true), relu(), deconv(16, 1, 2, 1, true), nn::Sigmoid()};
  torch::optim::Adam optimizer;
  Tensor images;

  AutoencoderStep(std::int64_t batch, at::MemoryFormat layout)
      : optimizer(parameters_of({encoder, spread, decoder}, layout), torch::optim::AdamOptions(1e-3)),
        images(torch::rand({batch, 1, 28, 28}).contiguous(layout)) {}
  void operator()() {
    const Tensor code = spread->forward(encoder->forward(images)).reshape({-1, 32, 7, 7});
    const Tensor loss = torch::mse_loss(decoder->forward(code), images);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    check_loss(loss.item<double>());
  }
};

struct DcganStep {
  nn::Sequential generator{
      deconv(100, 512, 1, 0, false), norm(512), relu(), deconv(512, 256, 2, 1, false), norm(256), relu(),
      deconv(256, 128, 2, 1, false), norm(128), relu(), deconv(128, 64, 2, 1, false),  norm(64),  relu(),
      deconv(64, 3, 2, 1, false),    nn::Tanh()};
  nn::Sequential discriminator{conv(3, 64, 2, 1, false),
                               leaky(),
                               conv(64, 128, 2, 1, false),
                               norm(128),
                               leaky(),
                               conv(128, 256, 2, 1, false),
                               norm(256),
                               leaky(),
                               conv(256, 512, 2, 1, false),
                               norm(512),
                               leaky(),
                               conv(512, 1, 1, 0, false)};
  torch::optim::Adam generator_optimizer, discriminator_optimizer;
  Tensor noise, images, yes, no;

  DcganStep(std::int64_t batch, at::MemoryFormat layout)
      : generator_optimizer(parameters_of({generator}, layout),
                            torch::optim::AdamOptions(2e-4).betas(std::make_tuple(0.5, 0.999))),
        discriminator_optimizer(parameters_of({discriminator}, layout),
                                torch::optim::AdamOptions(2e-4).betas(std::make_tuple(0.5, 0.999))),
        noise(torch::randn({batch, 100, 1, 1}).contiguous(layout)),
        images((torch::rand({batch, 3, 64, 64}) * 2 - 1).contiguous(layout)),
        yes(torch::ones({batch, 1, 1, 1})),
        no(torch::zeros({batch, 1, 1, 1})) {}

  void operator()() {
    const Tensor fakes = generator->forward(noise);
    torch::binary_cross_entropy_with_logits(discriminator->forward(images), yes).backward();
    torch::binary_cross_entropy_with_logits(discriminator->forward(fakes.detach()), no).backward();
    discriminator_optimizer.step();
    discriminator_optimizer.zero_grad();

    const Tensor loss = torch::binary_cross_entropy_with_logits(discriminator->forward(fakes), yes);
    loss.backward();
    generator_optimizer.step();
    generator_optimizer.zero_grad();
    discriminator_optimizer.zero_grad();
    check_loss(loss.item<double>());
  }
};

template <class Step>
Case make_case(const std::string& name, std::int64_t batch, at::MemoryFormat layout) {
  return {name, [=] {
            const auto step = std::make_shared<Step>(batch, layout);
            return Ready{[step] { (*step)(); }, {{"batch", batch}}};
          }};
}

}  // namespace

int main(int argc, char** argv) {
  Program program("training", "libtorch", "Times libtorch's training steps of an autoencoder and of a DCGAN.");
  std::string layout = "contiguous";
  program.options().add_option("--layout", layout)->check(CLI::IsMember({"contiguous", "channels_last"}));
  program.parse(argc, argv);
  try {
    torch::set_num_threads(program.threads());
    program.facts = {{"version", TORCH_VERSION}, {"layout", layout}};
    const auto format = layout == "contiguous" ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast;
    const Batches batches(program.quick());
    return run_training(program, {make_case<AutoencoderStep>("autoencoder", batches.autoencoder, format),
                                  make_case<DcganStep>("dcgan", batches.dcgan, format)});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
