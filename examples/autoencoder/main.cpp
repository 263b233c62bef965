// Trains the autoencoder: reads the options, prepares the run, and listens for Ctrl-C.
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <dygrad/dygrad.h>

#include "files.h"
#include "training.h"

namespace {

constexpr int kInterrupted = 130;  // what a shell expects after Ctrl-C

volatile std::sig_atomic_t stop_requests = 0;

extern "C" void on_interrupt(int) {
  if (stop_requests) std::_Exit(kInterrupted);
  stop_requests = 1;
}

int train(Options options) {
  std::optional<dygrad::LoadedState> checkpoint;
  if (options.resume) {
    checkpoint = dygrad::load_state(options.checkpoint_path());
    options.settings = Settings::from_texts(checkpoint->metadata, options.settings, options.given);
  }
  prepare_folder(options.output);  // not writable? Better known before training
  if (options.threads > 0) dygrad::set_num_threads(options.threads);

  const Images images = load_images(options.data, options.settings.limit);
  fmt::print("{}: {} to train, {} to test\n", images.remark, images.train.dim(0), images.test.dim(0));
  std::fflush(stdout);
  dygrad::manual_seed(static_cast<std::uint64_t>(options.settings.seed));
  Training training(options, images);
  if (checkpoint) training.restore(*checkpoint);

  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  const bool done = training.run(stop_requests);
  training.print_summary();
  if (!done) fmt::print("stopped early; go on with --resume\n");
  return stop_requests ? kInterrupted : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_options(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  try {
    return train(std::get<Options>(parsed));
  } catch (const std::exception& error) {
    fmt::print(stderr, "autoencoder: {}\n", error.what());
    return 1;
  }
}
