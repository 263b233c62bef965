#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "palette.h"
#include "pictures.h"

namespace {

constexpr int kWidth = 1000, kHeight = 540;
constexpr float kLeft = 86, kRight = 830, kTop = 84, kBottom = 462;  // of the plotted area
constexpr float kLabel = 10;                                         // height of labels
constexpr double kTicks[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};

/// Turns epochs and errors into places on the canvas.
struct Frame {
  double epochs;
  double low, high;  // errors at the bottom and the top

  float x(double epoch) const { return kLeft + static_cast<float>(epoch / epochs) * (kRight - kLeft); }
  float y(double error) const {
    const double height = std::log(std::clamp(error, low, high) / low) / std::log(high / low);
    return kBottom - static_cast<float>(height) * (kBottom - kTop);
  }
};

Frame frame_for(const Chart& chart) {
  double low = chart.baseline, high = chart.baseline;
  for (const auto& step : chart.history.steps) {
    low = std::min(low, step.error);
    high = std::max(high, step.error);
  }
  for (const auto& test : chart.history.tests) low = std::min(low, test.error);
  const auto* above = std::lower_bound(std::begin(kTicks), std::end(kTicks), high);
  const auto* below = std::upper_bound(std::begin(kTicks), std::end(kTicks), low);
  return {static_cast<double>(std::max<std::int64_t>(chart.epochs, 1)),
          below == std::begin(kTicks) ? kTicks[0] : *(below - 1), above == std::end(kTicks) ? 1. : *above};
}

void draw_axes(Canvas& canvas, const Frame& frame) {
  for (const double tick : kTicks) {
    if (tick < frame.low * 0.999 || tick > frame.high * 1.001) continue;
    const Point line[] = {{kLeft, frame.y(tick)}, {kRight, frame.y(tick)}};
    canvas.stroke(line, 1, kRule);
    canvas.text({kLeft - 12, frame.y(tick) + kLabel / 2}, fmt::format("{:g}", tick), kLabel, kFaded, Align::right);
  }
  const int every = std::max(1, static_cast<int>(std::ceil(frame.epochs / 10)));
  for (int epoch = 0; epoch <= static_cast<int>(frame.epochs); epoch += every) {
    const Point mark[] = {{frame.x(epoch), kBottom}, {frame.x(epoch), kBottom + 5}};
    canvas.stroke(mark, 1.5F, kFaded);
    canvas.text({frame.x(epoch), kBottom + 24}, std::to_string(epoch), kLabel, kFaded, Align::center);
  }
  const Point axis[] = {{kLeft, kBottom}, {kRight, kBottom}};
  canvas.stroke(axis, 1.5F, kFaded);
  canvas.text({(kLeft + kRight) / 2, kBottom + 54}, "epochs", kLabel, kFaded, Align::center);
}

/// Every step, pale, and a moving average that looks back over a tenth of the way, at most 40 steps.
Point draw_training(Canvas& canvas, const Frame& frame, const Chart& chart) {
  std::vector<Point> raw, smooth;
  double average = 0;
  for (std::size_t i = 0; i < chart.history.steps.size(); ++i) {
    const double error = chart.history.steps[i].error, step = static_cast<double>(i);
    const float x = frame.x((step + 1) / static_cast<double>(chart.steps_per_epoch));
    average += (error - average) / (1 + std::min(step / 10, 40.));
    raw.push_back({x, frame.y(error)});
    smooth.push_back({x, frame.y(average)});
  }
  canvas.stroke(raw, 1, kPaleBlue, 0.7F);
  canvas.stroke(smooth, 2.2F, kBlue);
  return smooth.empty() ? Point{kLeft, kTop} : smooth.back();
}

Point draw_tests(Canvas& canvas, const Frame& frame, const Chart& chart) {
  Point last{kLeft, kBottom};
  for (const auto& test : chart.history.tests) {
    last = {frame.x(static_cast<double>(test.step) / static_cast<double>(chart.steps_per_epoch)), frame.y(test.error)};
    canvas.dot(last, 12, kPaper);
    canvas.dot(last, 9, kOrange);
  }
  return last;
}

}  // namespace

void draw_chart(const std::string& path, const Chart& chart) {
  Canvas canvas(kWidth, kHeight, kPaper);
  const Frame frame = frame_for(chart);
  canvas.text({32, 43}, chart.title, 14, kInk);
  canvas.text({kWidth - 32, 43}, "mean squared error, brightness from 0 to 1", kLabel, kFaded, Align::right);
  draw_axes(canvas, frame);

  const float mean_y = frame.y(chart.baseline);
  canvas.dashes({kLeft, mean_y}, {kRight, mean_y}, 6, 1.5F, kFaded);
  canvas.text({kRight + 16, mean_y + kLabel / 2}, fmt::format("mean image {:.3f}", chart.baseline), kLabel, kFaded);

  const Point training = draw_training(canvas, frame, chart);
  const Point test = draw_tests(canvas, frame, chart);
  // The curves end close together; their names must not.
  const float train_y = chart.history.tests.empty() ? training.y : std::min(training.y, test.y) - 12;
  const float test_y = train_y + 24;
  if (!chart.history.steps.empty()) canvas.text({training.x + 16, train_y + kLabel / 2}, "training", kLabel, kBlue);
  if (!chart.history.tests.empty()) {
    canvas.text({test.x + 16, test_y + kLabel / 2}, fmt::format("test {:.4f}", chart.history.tests.back().error),
                kLabel, kOrange);
  }
  canvas.save_png(path);
}
