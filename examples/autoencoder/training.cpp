#include "training.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "pictures.h"

using namespace dygrad;

namespace {

/// Bytes 0 to 255 as brightness from 0 to 1.
Tensor brightness(const Tensor& images, DType dtype) { return images.to(dtype) * (1 / 255.); }

DataLoader make_loader(const Settings& settings, const Tensor& images) {
  const DType dtype = dtype_from_name(settings.dtype);
  // The loader's thread shuffles, gathers and converts the next batches while this one trains.
  return DataLoader(std::make_shared<TensorDataset>(std::vector<Tensor>{images}),
                    {.batch_size = settings.batch_size,
                     .shuffle = true,
                     .seed = static_cast<std::uint64_t>(settings.seed),
                     .prefetch = 4,
                     .transform = [dtype](Sample batch) { return Sample{brightness(batch[0], dtype)}; }});
}

/// Up to the highest rate in the first half epoch, then down to nothing along a cosine.
Schedule make_schedule(const Settings& settings, std::int64_t steps_per_epoch) {
  const CosineDecay cosine{.learning_rate = settings.learning_rate, .epochs = settings.epochs * steps_per_epoch};
  return LinearLrWarmup{.learning_rate = cosine,
                        .warmup_steps = std::max<std::int64_t>(steps_per_epoch / 2, 1),
                        .start_lr = 0,
                        .end_lr = settings.learning_rate};
}

std::string describe(const Images& images) { return fmt::format("{}, {}", images.name, images.train.dim(0)); }

}  // namespace

Training::Training(const Options& options, const Images& images)
    : options_(options),
      settings_(options.settings),
      dtype_(dtype_from_name(settings_.dtype)),
      images_(images),
      baseline_(mean_image_error(images)),
      model_(settings_.bottleneck, dtype_),
      loader_(make_loader(settings_, images.train)),
      rate_(make_schedule(settings_, steps_per_epoch())),
      optimizer_(model_.parameters(), {.learning_rate = rate_}) {}

void Training::save() {
  StateDict state;
  state.insert_all("model.", model_.state_dict());
  state.insert_all("optimizer.", optimizer_.state_dict());
  history_.save(state);
  const Generator::State random = default_generator().state();
  Settings::Texts texts = settings_.to_texts();
  texts["images"] = describe(images_);
  texts["generator"] = fmt::format("{} {}", random.seed, random.position);
  save_state(options_.checkpoint_path(), state, texts);
  history_.write_csv(output("metrics.csv"), steps_per_epoch());
  draw_pictures();
}

void Training::restore(const LoadedState& checkpoint) {
  const std::string& trained_on = checkpoint.metadata.at("images");
  if (trained_on != describe(images_)) {
    throw InvalidArgument(fmt::format("resume: the run was started on other images.\n  expected {}, got {}", trained_on,
                                      describe(images_)));
  }
  model_.set_dict(checkpoint.state.with_prefix("model."));
  optimizer_.set_dict(checkpoint.state.with_prefix("optimizer."));
  history_ = History::load(checkpoint.state);
  Generator::State random;
  std::istringstream(checkpoint.metadata.at("generator")) >> random.seed >> random.position;
  default_generator().set_state(random);
}

double Training::train(const Tensor& batch) {
  const Tensor loss = mse_loss(model_(batch), batch);
  loss.backward();
  history_.steps.push_back({optimizer_.get_lr(), loss.item()});
  optimizer_.step();
  optimizer_.clear_gradients();
  rate_.step();
  return history_.steps.back().error;
}

double Training::test() {
  const NoGrad guard;
  model_.eval();
  double sum = 0;
  const std::int64_t count = images_.test.dim(0), stride = 500;
  for (std::int64_t i = 0; i < count; i += stride) {
    const Tensor batch = brightness(images_.test.slice(0, i, i + stride), dtype_);
    sum += mse_loss(model_(batch), batch).item() * static_cast<double>(batch.dim(0));
  }
  model_.train();
  return sum / static_cast<double>(count);
}

void Training::finish_epoch(Progress& progress) {
  history_.tests.push_back({steps_done(), test()});
  const auto first = history_.steps.end() - steps_per_epoch();
  double sum = 0;
  for (auto step = first; step != history_.steps.end(); ++step) sum += step->error;
  const double error = history_.tests.back().error;
  progress.line(fmt::format("epoch {:>2}   training error {:.5f}   test error {:.5f}   {:.2f} dB   {:.0f} images/s",
                            steps_done() / steps_per_epoch(), sum / static_cast<double>(steps_per_epoch()), error,
                            psnr(error), progress.images_per_second()));
}

bool Training::run(const volatile std::sig_atomic_t& stop) {
  const std::int64_t num_steps = settings_.epochs * steps_per_epoch(), first_step = steps_done();
  if (first_step >= num_steps) fmt::print("nothing left to train; a larger --epochs goes on\n");
  Progress progress(first_step, num_steps, steps_per_epoch());
  const auto should_stop = [&] { return stop || (options_.stop_after && steps_done() >= options_.stop_after); };
  while (steps_done() < num_steps && !should_stop()) {
    loader_.set_epoch(steps_done() / steps_per_epoch(), steps_done() % steps_per_epoch());
    for (const Sample& batch : loader_) {
      const double loss = train(batch[0]);
      progress.step(loss, batch[0].dim(0));
      if (should_stop()) break;
    }
    progress.pause();
    if (steps_done() % steps_per_epoch() == 0) finish_epoch(progress);
    save();
    progress.resume();
  }
  seconds_ = progress.seconds();
  images_per_second_ = progress.images_per_second();
  return steps_done() >= num_steps;
}

void Training::draw_pictures() {
  const std::string title = fmt::format("{}: {} numbers per image", images_.name, settings_.bottleneck);
  draw_chart(output("loss.svg"), {title, history_, steps_per_epoch(), settings_.epochs, baseline_});

  // A column for each class: its first few test images.
  constexpr std::size_t kRows = 3;
  const auto labels = images_.test_labels.read<std::int64_t>();
  std::vector<std::int64_t> chosen;
  Grid grid;
  for (std::size_t c = 0; c < images_.classes.size(); ++c) {
    std::vector<std::int64_t> members;
    for (std::size_t i = 0; i < labels.size() && members.size() < kRows; ++i) {
      if (labels[i] == static_cast<std::int64_t>(c)) members.push_back(static_cast<std::int64_t>(i));
    }
    if (members.size() < kRows) continue;
    chosen.insert(chosen.end(), members.begin(), members.end());
    ++grid.columns;
  }
  if (chosen.empty()) return;
  const NoGrad guard;
  model_.eval();
  grid.originals = brightness(index_select(images_.test, 0, from_vector(chosen)), dtype_);
  grid.reconstructions = model_(grid.originals);
  model_.train();
  draw_grid(output("reconstructions.png"), grid);
}

void Training::print_summary() const {
  if (!history_.tests.empty()) {
    const double error = history_.tests.back().error;
    fmt::print("\ntest error        {:.5f}, mean squared, brightness from 0 to 1: {:.2f} dB\n", error, psnr(error));
    fmt::print("mean image        {:.5f}, the error of always answering with it: {:.1f} times as much\n", baseline_,
               baseline_ / error);
  }
  fmt::print("training          {:.1f} s, {:.0f} images/s, {} threads\n", seconds_, images_per_second_, num_threads());
  fmt::print("written           {0}/reconstructions.png, {0}/loss.svg, {0}/metrics.csv, {0}/checkpoint.safetensors\n",
             options_.output);
}
