// A run: the model, its optimizer, and what was measured, with its checkpoints and pictures.
#pragma once

#include <csignal>
#include <optional>

#include <dygrad/dygrad.h>

#include "data.h"
#include "history.h"
#include "model.h"
#include "options.h"
#include "progress.h"

class Training {
 public:
  /// A new run. The first weights come from the default generator.
  Training(const Options& options, const Images& images);
  /// Takes over where a checkpoint ends. Throws dygrad::Error if it does not fit; the run is of no use then.
  void restore(const dygrad::LoadedState& checkpoint);

  /// Trains until the last epoch is done, or until `stop` is not 0; saves either way. True if the last epoch is done.
  bool run(const volatile std::sig_atomic_t& stop);
  /// Errors, time and files, for people.
  void print_summary() const;

 private:
  /// One batch; returns its error.
  double train(const dygrad::Tensor& batch);
  /// The error on all test images.
  double test();
  void finish_epoch(Progress& progress);
  void save();
  void draw_pictures();

  std::int64_t steps_per_epoch() const { return loader_.num_batches(); }
  std::int64_t steps_done() const { return static_cast<std::int64_t>(history_.steps.size()); }
  std::string output(const std::string& file) const { return options_.output + "/" + file; }

  Options options_;
  Settings settings_;
  dygrad::DType dtype_;
  const Images& images_;
  double baseline_;
  Autoencoder model_;
  dygrad::DataLoader loader_;
  dygrad::Schedule rate_;
  dygrad::Adam optimizer_;
  History history_;
  double seconds_ = 0;  // of training in this process, tests and pictures left out
  double images_per_second_ = 0;
};
