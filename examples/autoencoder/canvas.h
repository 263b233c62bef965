// Canvas: a picture in memory with anti-aliased lines and letters, saved as PNG. Knows nothing of tensors or training.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct Color {
  float red = 0, green = 0, blue = 0;  // 0 to 255
};

struct Point {
  float x = 0, y = 0;  // pixels from the upper left corner
};

enum class Align { left, center, right };

class Canvas {
 public:
  Canvas(int width, int height, Color background);
  int width() const { return width_; }
  int height() const { return height_; }

  void fill(int left, int top, int width, int height, Color color);
  /// One pixel of an image, blown up to a square.
  void gray(int left, int top, int size, float brightness);
  /// Joins the points by straight lines of one thickness with round ends; a single point becomes a dot.
  void stroke(std::span<const Point> points, float thickness, Color color, float opacity = 1);
  void dot(Point center, float diameter, Color color) { stroke({&center, 1}, diameter, color); }
  void dashes(Point from, Point to, float length, float thickness, Color color);

  /// `at` is the left end, middle or right end of the baseline; `size` is the height of a capital letter in pixels.
  void text(Point at, std::string_view words, float size, Color color, Align align = Align::left);
  static float text_width(std::string_view words, float size);

  /// Replaces the file as a whole or not at all. Throws std::runtime_error.
  void save_png(const std::string& path) const;

 private:
  void blend(int x, int y, Color color, float opacity);

  int width_;
  int height_;
  std::vector<float> pixels_;    // red, green, blue; rows from the top
  std::vector<float> coverage_;  // of the stroke being drawn
};
