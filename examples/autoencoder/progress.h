// How far a run is, for people: a bar that stays in place on a terminal, now and then a line elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

class Progress {
 public:
  /// `first_step` of `num_steps` is the next one.
  Progress(std::int64_t first_step, std::int64_t num_steps, std::int64_t steps_per_epoch);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more step is done, on so many images.
  void step(double loss, std::int64_t num_images);
  /// A line that stays; below it the bar goes on.
  void line(const std::string& text);
  /// Time that is not training, such as testing and saving.
  void pause();
  void resume();

  double seconds() const;  ///< of training so far, pauses left out
  std::int64_t num_images() const { return num_images_; }
  double images_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;
  void show();
  std::string status() const;
  std::string bar(int width) const;

  std::int64_t step_, first_step_, num_steps_, steps_per_epoch_;
  std::int64_t num_images_ = 0;
  double loss_ = 0;  // moving average
  bool is_terminal_;
  bool unicode_;
  bool running_ = true;
  Clock::duration earlier_{};  // training before the last pause
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = started_;
};
