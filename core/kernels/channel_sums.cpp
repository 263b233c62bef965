#include <dygrad/core/kernels/channel_sums.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <memory>
#include <vector>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/reduction_kernels.h>
#include <dygrad/core/simd/vectorize.h>
#include <dygrad/core/tensor/detail/layout.h>

namespace dygrad::kernel {

namespace {

// Note [Blocks of channels]
// Channels-last, a block is some rows of up to kTileColumns channels; where channels are few, several pixels count as
// one wide row of more, which are combined in the end. Row-major, a block is a span of one plane of one channel.
// A block fits the L1 cache, so it may be looked at twice. Blocks are combined pairwise, in chunks that are the unit
// of parallel work.
constexpr std::int64_t kBlockElements = 4096;
constexpr std::int64_t kBlockRows = 32;
constexpr std::int64_t kChunkElements = 65536;
constexpr std::int64_t kWideRow = 64;

/// Two values for each of some columns, known after `count` rows.
template <class T>
struct Part {
  const T *first, *second;
  std::int64_t count;
};
template <class T>
struct Columns {
  std::array<T, kTileColumns> first, second;
  std::int64_t count;
  Part<T> from(std::int64_t column = 0) const { return {first.data() + column, second.data() + column, count}; }
};

/// The mean, less `centre`, and the squared distances from it. `centre` is some value of the channel, so that what is
/// rounded has the size of distances: the mean alone may be much larger.
template <class T>
struct Moments {
  static constexpr T kFirstOfNothing = std::numeric_limits<T>::quiet_NaN();  // 0 / 0
  const T* x;

  void take_rows(std::int64_t offset, std::int64_t rows, std::int64_t stride, std::int64_t columns, const T* centre,
                 Columns<T>& out) const {
    const T* from = x + offset;
    T *mean = out.first.data(), *squares = out.second.data();
    out.count = rows;
    vectorize([=] {
      const T share = 1 / static_cast<T>(rows);
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) mean[j] = squares[j] = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = from + r * stride;
        DYGRAD_IVDEP
        for (std::int64_t j = 0; j < columns; ++j) mean[j] += row[j] - centre[j];
      }
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) mean[j] *= share;
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = from + r * stride;
        DYGRAD_IVDEP
        for (std::int64_t j = 0; j < columns; ++j) {
          const T distance = (row[j] - centre[j]) - mean[j];
          squares[j] += distance * distance;
        }
      }
    });
  }

  void take_line(std::int64_t offset, std::int64_t length, T centre, Columns<T>& out) const {
    out.count = length;
    vectorize([from = x + offset, length, centre, &out] {
      const auto from_centre = [=](std::int64_t i) { return from[i] - centre; };
      const T mean = detail::fold_line<Add, T>(length, from_centre) / static_cast<T>(length);
      const auto square = [=](std::int64_t i) { return (from_centre(i) - mean) * (from_centre(i) - mean); };
      out.first[0] = mean;
      out.second[0] = detail::fold_line<Add, T>(length, square);
    });
  }

  static void merge(Columns<T>& a, const Part<T>& b, std::int64_t columns) {
    const double count = static_cast<double>(a.count), other_count = static_cast<double>(b.count);
    const T share = static_cast<T>(other_count / (count + other_count));
    const T weight = static_cast<T>(count * other_count / (count + other_count));
    T *mean = a.first.data(), *squares = a.second.data();
    a.count += b.count;
    vectorize([=, other_mean = b.first, other_squares = b.second] {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) {
        const T distance = other_mean[j] - mean[j];
        mean[j] += distance * share;
        squares[j] += other_squares[j] + distance * distance * weight;
      }
    });
  }
};

/// Sums of g and of g (x - centre).
template <class T>
struct Products {
  static constexpr T kFirstOfNothing = 0;
  const T* g;
  const T* x;

  void take_rows(std::int64_t offset, std::int64_t rows, std::int64_t stride, std::int64_t columns, const T* centre,
                 Columns<T>& out) const {
    T *sums = out.first.data(), *products = out.second.data();
    out.count = rows;
    vectorize([=, g_from = g + offset, x_from = x + offset] {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) sums[j] = products[j] = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        const T *g_row = g_from + r * stride, *x_row = x_from + r * stride;
        DYGRAD_IVDEP
        for (std::int64_t j = 0; j < columns; ++j) {
          sums[j] += g_row[j];
          products[j] += g_row[j] * (x_row[j] - centre[j]);
        }
      }
    });
  }

  void take_line(std::int64_t offset, std::int64_t length, T centre, Columns<T>& out) const {
    out.count = length;
    vectorize([g_from = g + offset, x_from = x + offset, length, centre, &out] {
      out.first[0] = detail::fold_line<Add, T>(length, [=](std::int64_t i) { return g_from[i]; });
      out.second[0] =
          detail::fold_line<Add, T>(length, [=](std::int64_t i) { return g_from[i] * (x_from[i] - centre); });
    });
  }

  static void merge(Columns<T>& a, const Part<T>& b, std::int64_t columns) {
    T *sums = a.first.data(), *products = a.second.data();
    a.count += b.count;
    vectorize([=, other_sums = b.first, other_products = b.second] {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) {
        sums[j] += other_sums[j];
        products[j] += other_products[j];
      }
    });
  }
};

/// See Note [Blocks of channels]. `centre` has a value per channel.
template <class T, class Sums>
class ChannelReduction {
 public:
  ChannelReduction(const Sums& sums, const Tensor& x, const T* centre)
      : sums_(sums),
        centre_(centre),
        batch_(x.shape()[0]),
        channels_(x.shape()[1]),
        pixels_(x.rank() == 4 ? x.shape()[2] * x.shape()[3] : 1),
        is_planar_(pixels_ > 1 && x.is_contiguous()) {
    assert(is_planar_ || pixels_ == 1 || x.is_contiguous(MemoryFormat::channels_last));
  }

  void run(T* first, T* second) const {
    if (batch_ * pixels_ == 0) {
      std::fill_n(first, channels_, Sums::kFirstOfNothing);
      std::fill_n(second, channels_, T{0});
      return;
    }
    if (channels_ == 0) return;
    const std::int64_t tile = is_planar_ ? 1 : std::min(channels_, kTileColumns);
    const std::int64_t tiles = (channels_ + tile - 1) / tile;
    const Blocks blocks = is_planar_ ? blocks_of_planes() : blocks_of_rows(tile);
    const std::int64_t chunk = std::max<std::int64_t>(kChunkElements / (blocks.extent * tile * blocks.together), 1);
    const std::int64_t chunks = (blocks.count + chunk - 1) / chunk;
    const auto partial = std::make_unique_for_overwrite<Columns<T>[]>(static_cast<std::size_t>(tiles * chunks));
    const std::int64_t work = std::min(chunk, blocks.count) * blocks.extent * tile * blocks.together;
    const std::int64_t grain = std::max<std::int64_t>(kElementwiseGrain / work, 1);
    parallel_for(tiles * chunks, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t number = begin; number < end; ++number) {
        const std::int64_t channel = number / chunks * tile, block = number % chunks * chunk;
        add_blocks(blocks, {channel, std::min(tile, channels_ - channel)}, block, std::min(block + chunk, blocks.count),
                   partial[static_cast<std::size_t>(number)]);
      }
    });

    for (std::int64_t channel = 0; channel < channels_; channel += tile) {
      Columns<T>* own = partial.get() + channel / tile * chunks;
      const std::int64_t columns = std::min(tile, channels_ - channel);
      for (std::int64_t gap = 1; gap < chunks; gap *= 2) {
        for (std::int64_t i = 0; i + gap < chunks; i += 2 * gap) Sums::merge(own[i], own[i + gap].from(), columns);
      }
      std::copy_n(own->first.data(), columns, first + channel);
      std::copy_n(own->second.data(), columns, second + channel);
    }
  }

 private:
  struct Blocks {
    std::int64_t count;
    std::int64_t extent;        // rows of a block, or elements of a span
    std::int64_t together = 1;  // pixels in a row
  };
  struct Tile {
    std::int64_t channel, columns;
  };

  Blocks blocks_of_rows(std::int64_t tile) const {
    Blocks blocks{};
    const std::int64_t rows = batch_ * pixels_;
    if (tile == channels_) blocks.together = std::clamp<std::int64_t>(kWideRow / tile, 1, rows);
    blocks.extent = std::clamp<std::int64_t>(kBlockElements / (tile * blocks.together), 8, kBlockRows);
    const std::int64_t pixels = blocks.extent * blocks.together;
    blocks.count = (rows + pixels - 1) / pixels;
    return blocks;
  }
  Blocks blocks_of_planes() const {
    const std::int64_t extent = std::min(pixels_, kBlockElements);
    return {batch_ * ((pixels_ + extent - 1) / extent), extent, 1};
  }

  void add_blocks(const Blocks& blocks, const Tile& tile, std::int64_t begin, std::int64_t end, Columns<T>& out) const {
    if (end - begin == 1) {
      return is_planar_ ? add_span(blocks, tile.channel, begin, out) : add_rows(blocks, tile, begin, out);
    }
    const std::int64_t middle = begin + (end - begin) / 2;
    Columns<T> other;
    add_blocks(blocks, tile, begin, middle, out);
    add_blocks(blocks, tile, middle, end, other);
    Sums::merge(out, other.from(), tile.columns);
  }

  void add_span(const Blocks& blocks, std::int64_t channel, std::int64_t block, Columns<T>& out) const {
    const std::int64_t spans = (pixels_ + blocks.extent - 1) / blocks.extent;
    const std::int64_t begin = block % spans * blocks.extent;
    const std::int64_t offset = (block / spans * channels_ + channel) * pixels_ + begin;
    sums_.take_line(offset, std::min(blocks.extent, pixels_ - begin), centre_[channel], out);
  }

  void add_rows(const Blocks& blocks, const Tile& tile, std::int64_t block, Columns<T>& out) const {
    const std::int64_t first = block * blocks.extent * blocks.together;
    const std::int64_t pixels = std::min(blocks.extent * blocks.together, batch_ * pixels_ - first);
    const std::int64_t together = std::min(blocks.together, pixels);
    const std::int64_t wide_rows = pixels / together;
    const std::int64_t offset = first * channels_ + tile.channel;
    const T* centre = centre_ + tile.channel;
    std::array<T, kWideRow> repeated;
    if (together > 1) {
      for (std::int64_t k = 0; k < together; ++k) std::copy_n(centre, tile.columns, repeated.data() + k * tile.columns);
    }
    sums_.take_rows(offset, wide_rows, together * channels_, together * tile.columns,
                    together > 1 ? repeated.data() : centre, out);
    for (std::int64_t k = 1; k < together; ++k) {
      Part<T> next = out.from(k * tile.columns);
      next.count = wide_rows;
      Sums::merge(out, next, tile.columns);
    }
    const std::int64_t taken = wide_rows * together;
    if (taken == pixels) return;
    Columns<T> rest;
    sums_.take_rows(offset + taken * channels_, pixels - taken, channels_, tile.columns, centre, rest);
    Sums::merge(out, rest.from(), tile.columns);
  }

  Sums sums_;
  const T* centre_;
  std::int64_t batch_, channels_, pixels_;
  bool is_planar_;
};

ChannelPair pair_for(const Tensor& x) {
  return {Tensor::empty({x.shape()[1]}, x.dtype()), Tensor::empty({x.shape()[1]}, x.dtype())};
}

}  // namespace

ChannelPair channel_moments(const Tensor& x, Tensor* rest) {
  ChannelPair result = pair_for(x);
  if (rest) *rest = Tensor::empty({x.shape()[1]}, x.dtype());
  dispatch_float(x.dtype(), "channel_moments", [&]<class T>() {
    const std::int64_t channels = x.shape()[1];
    std::vector<T> centre(static_cast<std::size_t>(channels));
    for (std::int64_t c = 0; x.num_elements() > 0 && c < channels; ++c)
      centre[static_cast<std::size_t>(c)] = x.data<T>()[c * x.strides()[1]];
    T* mean = result.first.mutable_data<T>();
    ChannelReduction<T, Moments<T>>({x.data<T>()}, x, centre.data()).run(mean, result.second.mutable_data<T>());
    for (std::int64_t c = 0; c < channels; ++c) {
      const T distance = mean[c], from = centre[static_cast<std::size_t>(c)], sum = from + distance, added = sum - from;
      mean[c] = sum;
      if (rest) rest->mutable_data<T>()[c] = (from - (sum - added)) + (distance - added);
    }
  });
  return result;
}

ChannelPair channel_products(const Tensor& g, const Tensor& x, const Tensor& mean) {
  assert(g.shape() == x.shape() && (x.num_elements() == 0 || is_same_layout(x.shape(), g.strides(), x.strides())));
  ChannelPair result = pair_for(x);
  dispatch_float(x.dtype(), "channel_products", [&]<class T>() {
    ChannelReduction<T, Products<T>>({g.data<T>(), x.data<T>()}, x, mean.data<T>())
        .run(result.first.mutable_data<T>(), result.second.mutable_data<T>());
  });
  return result;
}

}  // namespace dygrad::kernel
