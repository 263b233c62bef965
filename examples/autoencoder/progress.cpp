#include "progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenBars = 100ms;
constexpr auto kBetweenLines = 10s;  // where there is no terminal

bool speaks_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

int terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string grouped(double number) {
  std::string digits = fmt::format("{:.0f}", number);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string minutes(double seconds) {
  const int whole = static_cast<int>(std::lround(seconds));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::int64_t first_step, std::int64_t num_steps, std::int64_t steps_per_epoch)
    : step_(first_step),
      first_step_(first_step),
      num_steps_(num_steps),
      steps_per_epoch_(steps_per_epoch),
      is_terminal_(isatty(STDOUT_FILENO) == 1),
      unicode_(speaks_unicode()) {}

Progress::~Progress() {
  if (is_terminal_) fmt::print("\r\033[K");
  std::fflush(stdout);
}

void Progress::step(double loss, std::int64_t num_images) {
  const double keep = step_ == first_step_ ? 0 : 0.95;
  loss_ = keep * loss_ + (1 - keep) * loss;
  num_images_ += num_images;
  ++step_;
  const auto now = Clock::now();
  if (now - shown_ < (is_terminal_ ? Clock::duration(kBetweenBars) : Clock::duration(kBetweenLines))) return;
  shown_ = now;
  show();
}

void Progress::show() {
  if (!is_terminal_) {
    fmt::print("{}\n", status());
  } else {
    const std::string text = status();
    const int room = terminal_width() - static_cast<int>(text.size()) - 3;
    fmt::print("\r\033[K{} {}", bar(std::clamp(room, 0, 40)), text);
  }
  std::fflush(stdout);
}

std::string Progress::status() const {
  const std::int64_t epoch = (step_ - 1) / steps_per_epoch_;
  const double left = seconds() / static_cast<double>(step_ - first_step_) * static_cast<double>(num_steps_ - step_);
  return fmt::format("epoch {}/{}  step {}/{}  loss {:.4f}  {} images/s  {} left", epoch + 1,
                     num_steps_ / steps_per_epoch_, step_ - epoch * steps_per_epoch_, steps_per_epoch_, loss_,
                     grouped(images_per_second()), minutes(left));
}

std::string Progress::bar(int width) const {
  const auto done = static_cast<int>(width * step_ / num_steps_);
  std::string text;
  for (int i = 0; i < width; ++i) text += unicode_ ? (i < done ? "━" : "─") : (i < done ? "#" : ".");
  return text;
}

void Progress::line(const std::string& text) {
  fmt::print("{}{}\n", is_terminal_ ? "\r\033[K" : "", text);
  std::fflush(stdout);
}

void Progress::pause() {
  earlier_ += Clock::now() - started_;
  running_ = false;
}

void Progress::resume() {
  started_ = Clock::now();
  running_ = true;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(earlier_ + (running_ ? Clock::now() - started_ : Clock::duration{})).count();
}

double Progress::images_per_second() const { return seconds() > 0 ? static_cast<double>(num_images_) / seconds() : 0; }
