#include <dygrad/backends/native/winograd/winograd_range.h>

#include <span>

#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::native {

namespace {

/// Some tiles of one group as the images of a small problem: their pixels, and all outputs that these reach. Inputs and
/// outputs between those of a tile are left out, so that strides and dilations have no common divisor.
class SmallProblem {
 public:
  SmallProblem(const Problem& problem, const Tiles& tiles, std::int64_t group, std::span<const OutlyingTile> outlying)
      : s_(conv2d_sizes(problem)), tiles_(tiles), group_(group), outlying_(outlying) {
    params_.stride = {tiles.rows().subkernels(), tiles.columns().subkernels()};
    params_.input_extent = {tiles.rows().m(), tiles.columns().m()};
    params_.output_extent = {reach(tiles.rows(), s_.kh), reach(tiles.columns(), s_.kw)};
    const auto count = static_cast<std::int64_t>(outlying.size());
    const std::int64_t cg = s_.channels_in_group(), og = s_.filters_in_group();
    problem_ = {problem.kind,
                problem.dtype,
                &params_,
                {count, cg, params_.input_extent[0], params_.input_extent[1]},
                {cg, og, s_.kh, s_.kw},
                {count, og, params_.output_extent[0], params_.output_extent[1]}};
  }
  SmallProblem(const SmallProblem&) = delete;  // its problem points into it
  SmallProblem& operator=(const SmallProblem&) = delete;

  /// Memory of one tile.
  static std::int64_t elements_of_tile(const Conv2DSizes& s, const Tiles& tiles) {
    return s.filters_in_group() * reach(tiles.rows(), s.kh) * reach(tiles.columns(), s.kw);
  }

  Tensor run(const Tensor& image, const Tensor& w, const Tensor& bias) const {
    const std::int64_t cg = s_.channels_in_group();
    const Range channels{group_ * cg, (group_ + 1) * cg};
    const Tensor own_w = s_.groups == 1 ? w : view::slice(w, 0, channels.first, channels.last);
    const Tensor own_bias = bias.defined() ? view::slice(bias, 0, channels.first, channels.last) : bias;
    return compute_direct(problem_, image, own_w, {own_bias});
  }

  const Problem& problem() const { return problem_; }

  /// Calls f(pixel of a tile, the same pixel of the image, number of channels) for all pixels inside.
  template <class Tile, class Image, class F>
  void for_each_pixel(Tile* in_tiles, Image* image, const F& f) const {
    const auto axis = [](const TileAxis& of, std::int64_t extent) {
      return Axis{of.m(), of.input_step(), extent, &of, false};
    };
    visit(axis(tiles_.rows(), s_.h), axis(tiles_.columns(), s_.w), s_.c, s_.channels_in_group(), in_tiles, image, f);
  }
  /// The same for all outputs that tiles reach.
  template <class Tile, class Image, class F>
  void for_each_output(Tile* in_tiles, Image* image, const F& f) const {
    const auto axis = [](const TileAxis& of, std::int64_t kernel, std::int64_t extent) {
      return Axis{reach(of, kernel), of.output_step() / of.subkernels(), extent, &of, true};
    };
    visit(axis(tiles_.rows(), s_.kh, s_.oh), axis(tiles_.columns(), s_.kw, s_.ow), s_.o, s_.filters_in_group(),
          in_tiles, image, f);
  }

 private:
  static std::int64_t reach(const TileAxis& axis, std::int64_t kernel) {
    return (axis.m() - 1) * axis.subkernels() + kernel;
  }

  /// Where pixels of tiles lie in an image: `count` of them, `step` apart.
  struct Axis {
    std::int64_t count, step, extent;
    const TileAxis* tiles;
    bool is_of_outputs;
    std::int64_t first(std::int64_t tile) const {
      return is_of_outputs ? tiles->first_output(tile, 0) : tiles->first_input(tile);
    }
  };
  template <class Tile, class Image, class F>
  void visit(const Axis& rows, const Axis& columns, std::int64_t pixel_size, std::int64_t count, Tile* in_tiles,
             Image* image, const F& f) const {
    for (const OutlyingTile& outlying : outlying_) {
      const std::int64_t n = outlying.tile / tiles_.per_image(), in_image = outlying.tile % tiles_.per_image();
      const std::int64_t first_row = rows.first(in_image / tiles_.columns().tiles());
      const std::int64_t first_column = columns.first(in_image % tiles_.columns().tiles());
      for (std::int64_t r = 0; r < rows.count; ++r) {
        for (std::int64_t c = 0; c < columns.count; ++c, in_tiles += count) {
          const std::int64_t row = first_row + r * rows.step, column = first_column + c * columns.step;
          if (row < 0 || row >= rows.extent || column < 0 || column >= columns.extent) continue;
          const std::int64_t pixel = (n * rows.extent + row) * columns.extent + column;
          f(in_tiles, image + pixel * pixel_size + group_ * count, count);
        }
      }
    }
  }

  const Conv2DSizes s_;
  const Tiles& tiles_;
  std::int64_t group_;
  std::span<const OutlyingTile> outlying_;
  Conv2DParams params_;
  Problem problem_;
};

/// Calls f(small problem) for parts of the tiles that take little memory.
template <class F>
void for_each_part(const Problem& problem, const Tiles& tiles, const OutlyingTiles& outlying, const F& f) {
  constexpr std::int64_t kElementsAtOnce = 1 << 22;
  const std::int64_t size = SmallProblem::elements_of_tile(conv2d_sizes(problem), tiles);
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, kElementsAtOnce / size));
  for (std::size_t first = 0; first < outlying.size();) {
    std::size_t last = first;
    while (last < outlying.size() && last - first < most && outlying[last].group == outlying[first].group) ++last;
    f(SmallProblem(problem, tiles, outlying[first].group, std::span(outlying).subspan(first, last - first)));
    first = last;
  }
}

Tensor zero_images(const Shape& shape, DType dtype) {
  const Tensor images = Tensor::empty(shape, dtype, MemoryFormat::channels_last);
  kernel::fill(images, 0);
  return images;
}
/// From a pixel of an image to that of a tile, and back.
template <class T>
void gather(T* tile, const T* image, std::int64_t count) {
  std::copy_n(image, count, tile);
}
template <class T>
void write(const T* tile, T* image, std::int64_t count) {
  std::copy_n(tile, count, image);
}
template <class T>
void add(const T* tile, T* image, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) image[i] += tile[i];
}

Tensor channels_last(const Tensor& x) { return kernel::contiguous(x, MemoryFormat::channels_last); }

}  // namespace

OutlyingTiles joined(const std::vector<OutlyingTiles>& parts) {
  OutlyingTiles all;
  for (const OutlyingTiles& part : parts) all.insert(all.end(), part.begin(), part.end());
  std::ranges::sort(all, {}, [](const OutlyingTile& tile) { return std::pair(tile.group, tile.tile); });
  return all;
}

void add_direct(const Problem& problem, const Tiles& tiles, const OutlyingTiles& outlying, const Tensor& x,
                const Tensor& w, const Tensor& y) {
  for_each_part(problem, tiles, outlying, [&](const SmallProblem& small) {
    const Tensor pixels = zero_images(small.problem().x, problem.dtype);
    dispatch_float(problem.dtype, "winograd", [&]<class T>() {
      small.for_each_pixel(pixels.mutable_data<T>(), x.data<T>(), gather<T>);
      const Tensor outputs = channels_last(small.run(pixels, w, {}));
      small.for_each_output(outputs.data<T>(), y.mutable_data<T>(), add<T>);
    });
  });
}

void write_direct(const Problem& problem, const Tiles& tiles, const OutlyingTiles& outlying, const Tensor& y,
                  const Tensor& w, const Tensor& bias, const Tensor& x) {
  for_each_part(problem, tiles, outlying, [&](const SmallProblem& small) {
    const Tensor outputs = zero_images(small.problem().y, problem.dtype);
    dispatch_float(problem.dtype, "winograd", [&]<class T>() {
      small.for_each_output(outputs.mutable_data<T>(), y.data<T>(), gather<T>);
      const Tensor pixels = channels_last(small.run(outputs, w, bias));
      small.for_each_pixel(pixels.data<T>(), x.mutable_data<T>(), write<T>);
    });
  });
}

}  // namespace dygrad::native
