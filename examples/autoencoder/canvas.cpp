#include "canvas.h"

#include <algorithm>
#include <cmath>

#include <string>

#include "files.h"
#include "letters.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

namespace {

constexpr float kLetterGap = 0.28F;        // between letters, in heights of a capital
constexpr float kStrokeThickness = 0.13F;  // of letters, likewise

float distance(Point p, Point a, Point b) {
  const float dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const float t = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.F, 1.F) : 0;
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

}  // namespace

Canvas::Canvas(int width, int height, Color background)
    : width_(width), height_(height), pixels_(3UL * width * height), coverage_(1UL * width * height) {
  fill(0, 0, width, height, background);
}

void Canvas::blend(int x, int y, Color color, float opacity) {
  float* pixel = &pixels_[3UL * (static_cast<std::size_t>(y) * width_ + x)];
  pixel[0] += (color.red - pixel[0]) * opacity;
  pixel[1] += (color.green - pixel[1]) * opacity;
  pixel[2] += (color.blue - pixel[2]) * opacity;
}

void Canvas::fill(int left, int top, int width, int height, Color color) {
  for (int y = std::max(top, 0); y < std::min(top + height, height_); ++y) {
    for (int x = std::max(left, 0); x < std::min(left + width, width_); ++x) blend(x, y, color, 1);
  }
}

void Canvas::gray(int left, int top, int size, float brightness) {
  const float level = 255 * std::clamp(brightness, 0.F, 1.F);
  fill(left, top, size, size, {level, level, level});
}

void Canvas::stroke(std::span<const Point> points, float thickness, Color color, float opacity) {
  // Coverage is gathered over the whole line before it is blended, so that joints are not painted twice.
  const float radius = thickness / 2;
  int left = width_, right = -1, top = height_, bottom = -1;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point a = points[i], b = points[std::min(i + 1, points.size() - 1)];
    const int x0 = std::max(0, static_cast<int>(std::floor(std::min(a.x, b.x) - radius - 1)));
    const int x1 = std::min(width_ - 1, static_cast<int>(std::ceil(std::max(a.x, b.x) + radius + 1)));
    const int y0 = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - radius - 1)));
    const int y1 = std::min(height_ - 1, static_cast<int>(std::ceil(std::max(a.y, b.y) + radius + 1)));
    for (int y = y0; y <= y1; ++y) {
      for (int x = x0; x <= x1; ++x) {
        const Point center{static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F};
        float& covered = coverage_[static_cast<std::size_t>(y) * width_ + x];
        covered = std::max(covered, std::clamp(radius + 0.5F - distance(center, a, b), 0.F, std::min(thickness, 1.F)));
      }
    }
    left = std::min(left, x0), right = std::max(right, x1), top = std::min(top, y0), bottom = std::max(bottom, y1);
  }
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      float& covered = coverage_[static_cast<std::size_t>(y) * width_ + x];
      if (covered > 0) blend(x, y, color, covered * opacity);
      covered = 0;
    }
  }
}

void Canvas::dashes(Point from, Point to, float length, float thickness, Color color) {
  const float total = std::hypot(to.x - from.x, to.y - from.y);
  const auto along = [&](float s) {
    return Point{from.x + (to.x - from.x) * s / total, from.y + (to.y - from.y) * s / total};
  };
  for (float s = 0; s < total; s += 2 * length) {
    const Point dash[] = {along(s), along(std::min(s + length, total))};
    stroke(dash, thickness, color);
  }
}

float Canvas::text_width(std::string_view words, float size) {
  float width = 0;
  for (const char c : words) width += (glyph(c).width + kLetterGap) * size;
  return words.empty() ? 0 : width - kLetterGap * size;
}

void Canvas::text(Point at, std::string_view words, float size, Color color, Align align) {
  const float width = text_width(words, size);
  if (align != Align::left) at.x -= align == Align::center ? width / 2 : width;
  std::vector<Point> line;
  for (const char c : words) {
    for (const auto& stroke_points : glyph(c).strokes) {
      line.clear();
      for (const GlyphPoint p : stroke_points) line.push_back({at.x + p.x * size, at.y - p.y * size});
      stroke(line, std::max(kStrokeThickness * size, 1.F), color);
    }
    at.x += (glyph(c).width + kLetterGap) * size;
  }
}

void Canvas::save_png(const std::string& path) const {
  std::vector<std::uint8_t> bytes(pixels_.size());
  std::transform(pixels_.begin(), pixels_.end(), bytes.begin(),
                 [](float level) { return static_cast<std::uint8_t>(std::lround(std::clamp(level, 0.F, 255.F))); });
  const auto write = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  std::string png;
  stbi_write_png_to_func(write, &png, width_, height_, 3, bytes.data(), 3 * width_);
  replace_file(path, png);
}
