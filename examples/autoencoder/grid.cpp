#include <dygrad/core/tensor/tensor.h>

#include "palette.h"
#include "pictures.h"

namespace {

constexpr int kSide = 28;  // of an image
constexpr int kZoom = 3;   // screen pixels per image pixel
constexpr int kTile = kSide * kZoom;
constexpr int kMargin = 32;
constexpr int kHeader = 92;  // title and column names
constexpr int kColumnGap = 12;
constexpr int kPairGap = 4;  // between an image and its reconstruction
constexpr int kRowGap = 20;

void draw_image(Canvas& canvas, int left, int top, const float* pixels) {
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) canvas.gray(left + x * kZoom, top + y * kZoom, kZoom, pixels[y * kSide + x]);
  }
}

}  // namespace

void draw_grid(const std::string& path, const Grid& grid) {
  const int columns = static_cast<int>(grid.columns.size());
  const int rows = columns ? static_cast<int>(grid.originals.dim(0)) / columns : 0;
  const int right = kMargin + columns * (kTile + kColumnGap) - kColumnGap;
  const int bottom = kHeader + rows * (2 * kTile + kPairGap + kRowGap) - kRowGap;
  Canvas canvas(right + kMargin, bottom + kMargin, kPaper);

  canvas.text({kMargin, 43}, grid.title, 14, kInk);
  canvas.text({static_cast<float>(right), 43}, grid.remark, 10, kFaded, Align::right);

  const auto originals = grid.originals.to(dygrad::float32).to_vector<float>();
  const auto reconstructions = grid.reconstructions.to(dygrad::float32).to_vector<float>();
  for (int column = 0; column < columns; ++column) {
    const int left = kMargin + column * (kTile + kColumnGap);
    canvas.text({static_cast<float>(left) + kTile / 2.F, kHeader - 12}, grid.columns[column], 9, kFaded, Align::center);
    for (int row = 0; row < rows; ++row) {
      const int top = kHeader + row * (2 * kTile + kPairGap + kRowGap);
      const std::size_t first = static_cast<std::size_t>(column * rows + row) * kSide * kSide;
      draw_image(canvas, left, top, &originals[first]);
      draw_image(canvas, left, top + kTile + kPairGap, &reconstructions[first]);
    }
  }
  canvas.save_png(path);
}
