#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

#include <dygrad/core/tensor/tensor.h>

#include "files.h"
#include "pictures.h"

namespace {

constexpr std::int64_t kSide = 28;  // of an image
constexpr std::int64_t kZoom = 3;   // screen pixels per image pixel
constexpr std::int64_t kTile = kSide * kZoom;
constexpr std::int64_t kMargin = 16, kColumnGap = 12, kRowGap = 20;
constexpr std::int64_t kPairGap = 4;  // between an image and its reconstruction

}  // namespace

void draw_grid(const std::string& path, const Grid& grid) {
  const std::int64_t columns = grid.columns, rows = columns ? grid.originals.dim(0) / columns : 0;
  const std::int64_t width = 2 * kMargin + columns * (kTile + kColumnGap) - kColumnGap;
  const std::int64_t height = 2 * kMargin + rows * (2 * kTile + kPairGap + kRowGap) - kRowGap;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width * height), 255);
  const auto draw = [&](std::int64_t left, std::int64_t top, const float* image) {
    for (std::int64_t y = 0; y < kTile; ++y) {
      for (std::int64_t x = 0; x < kTile; ++x) {
        const float brightness = std::clamp(image[y / kZoom * kSide + x / kZoom], 0.F, 1.F);
        pixels[static_cast<std::size_t>((top + y) * width + left + x)] =
            static_cast<std::uint8_t>(std::lround(brightness * 255));
      }
    }
  };
  const auto originals = grid.originals.to(dygrad::float32).to_vector<float>();
  const auto reconstructions = grid.reconstructions.to(dygrad::float32).to_vector<float>();
  for (std::int64_t i = 0; i < columns * rows; ++i) {
    const std::int64_t left = kMargin + i / rows * (kTile + kColumnGap);
    const std::int64_t top = kMargin + i % rows * (2 * kTile + kPairGap + kRowGap);
    draw(left, top, originals.data() + i * kSide * kSide);
    draw(left, top + kTile + kPairGap, reconstructions.data() + i * kSide * kSide);
  }

  const auto append = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  std::string png;
  stbi_write_png_to_func(append, &png, static_cast<int>(width), static_cast<int>(height), 1, pixels.data(),
                         static_cast<int>(width));
  replace_file(path, png);
}
