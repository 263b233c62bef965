#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "files.h"
#include "pictures.h"

namespace {

constexpr int kWidth = 1000, kHeight = 540;
constexpr double kLeft = 86, kRight = 830, kTop = 84, kBottom = 462;  // of the plotted area
constexpr double kTicks[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
constexpr const char *kInk = "#20242c", *kFaded = "#707782", *kRule = "#e4e7ec", *kBlue = "#2666cf",
                     *kPaleBlue = "#a0c0f0", *kOrange = "#e0681c";

struct Point {
  double x = 0, y = 0;  // pixels from the upper left corner
};

/// Turns epochs and errors into places on the chart.
struct Frame {
  double epochs;
  double low, high;  // errors at the bottom and the top

  double x(double epoch) const { return kLeft + epoch / epochs * (kRight - kLeft); }
  double y(double error) const {
    return kBottom - std::log(std::clamp(error, low, high) / low) / std::log(high / low) * (kBottom - kTop);
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

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return result;
}

/// `anchor` is start, middle or end of the text.
std::string text(Point at, const std::string& words, const char* color, const char* anchor = "start", int size = 14) {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' fill='{}' text-anchor='{}' font-size='{}'>{}</text>\n", at.x, at.y,
                     color, anchor, size, escaped(words));
}

std::string line(Point from, Point to, const char* color, const char* dashes = "none") {
  return fmt::format(
      "<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}' stroke-width='1.5' stroke-dasharray='{}'/>\n",
      from.x, from.y, to.x, to.y, color, dashes);
}

std::string curve(const std::vector<Point>& points, const char* color, double width) {
  std::string list;
  for (const Point& point : points) list += fmt::format("{:.1f},{:.1f} ", point.x, point.y);
  return fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='{}' stroke-linejoin='round'/>\n",
                     list, color, width);
}

std::string axes(const Frame& frame) {
  std::string svg;
  for (const double tick : kTicks) {
    if (tick < frame.low * 0.999 || tick > frame.high * 1.001) continue;
    svg += line({kLeft, frame.y(tick)}, {kRight, frame.y(tick)}, kRule);
    svg += text({kLeft - 12, frame.y(tick) + 5}, fmt::format("{:g}", tick), kFaded, "end");
  }
  const int every = std::max(1, static_cast<int>(std::ceil(frame.epochs / 10)));
  for (int epoch = 0; epoch <= static_cast<int>(frame.epochs); epoch += every) {
    svg += line({frame.x(epoch), kBottom}, {frame.x(epoch), kBottom + 5}, kFaded);
    svg += text({frame.x(epoch), kBottom + 24}, std::to_string(epoch), kFaded, "middle");
  }
  return svg + line({kLeft, kBottom}, {kRight, kBottom}, kFaded) +
         text({(kLeft + kRight) / 2, kBottom + 54}, "epochs", kFaded, "middle");
}

/// Every step, pale, and a moving average that looks back over a tenth of the way, at most 40 steps. Returns its end.
Point add_training(std::string& svg, const Frame& frame, const Chart& chart) {
  std::vector<Point> raw, smooth;
  double average = 0;
  for (std::size_t i = 0; i < chart.history.steps.size(); ++i) {
    const double error = chart.history.steps[i].error, step = static_cast<double>(i);
    const double x = frame.x((step + 1) / static_cast<double>(chart.steps_per_epoch));
    average += (error - average) / (1 + std::min(step / 10, 40.));
    raw.push_back({x, frame.y(error)});
    smooth.push_back({x, frame.y(average)});
  }
  svg += curve(raw, kPaleBlue, 1) + curve(smooth, kBlue, 2.2);
  return smooth.empty() ? Point{kLeft, kTop} : smooth.back();
}

Point add_tests(std::string& svg, const Frame& frame, const Chart& chart) {
  Point last{kLeft, kBottom};
  for (const auto& test : chart.history.tests) {
    last = {frame.x(static_cast<double>(test.step) / static_cast<double>(chart.steps_per_epoch)), frame.y(test.error)};
    svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='5' fill='{}' stroke='white' stroke-width='1.5'/>\n", last.x,
                       last.y, kOrange);
  }
  return last;
}

}  // namespace

void draw_chart(const std::string& path, const Chart& chart) {
  const Frame frame = frame_for(chart);
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}' "
      "font-family='sans-serif'>\n<rect width='{0}' height='{1}' fill='white'/>\n",
      kWidth, kHeight);
  svg += text({32, 43}, chart.title, kInk, "start", 20);
  svg += text({kWidth - 32, 43}, "mean squared error, brightness from 0 to 1", kFaded, "end");
  svg += axes(frame);
  const double mean_y = frame.y(chart.baseline);
  svg += line({kLeft, mean_y}, {kRight, mean_y}, kFaded, "6");
  svg += text({kRight + 16, mean_y + 5}, fmt::format("mean image {:.3f}", chart.baseline), kFaded);

  const Point training = add_training(svg, frame, chart);
  const Point test = add_tests(svg, frame, chart);
  // The curves end close together; their names must not.
  const double train_y = chart.history.tests.empty() ? training.y : std::min(training.y, test.y) - 12;
  if (!chart.history.steps.empty()) svg += text({training.x + 16, train_y + 5}, "training", kBlue);
  if (!chart.history.tests.empty()) {
    svg += text({test.x + 16, train_y + 29}, fmt::format("test {:.4f}", chart.history.tests.back().error), kOrange);
  }
  replace_file(path, svg + "</svg>\n");
}
