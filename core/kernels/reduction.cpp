#include <dygrad/core/kernels/reduction.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction_kernels.h>
#include <dygrad/core/kernels/reduction_plan.h>
#include <dygrad/core/kernels/strided_pack.h>

namespace dygrad::kernel {

namespace {

constexpr std::int64_t kWideRow = 128;        // elements that narrow rows are widened to
constexpr std::int64_t kPackElements = 4096;  // strided elements that are made dense at a time
constexpr std::int64_t kBlockElements = 16384;
constexpr std::int64_t kChunkElements = 65536;

/// Results that are being put together, at most a tile of columns.
struct Tile {
  alignas(64) std::array<std::byte, kTileColumns * sizeof(double)> bytes;
  void* data() { return bytes.data(); }
};

class Reduction {
 public:
  Reduction(const ReductionKernels& kernels, const Tensor& x, const Axes& axes, const Tensor& result)
      : kernels_(kernels),
        plan_(x, axes, result),
        x_(x.impl()->storage->data() + x.impl()->offset * static_cast<std::int64_t>(kernels.element_size)),
        out_(result.impl()->storage->data()) {}

  void run() const {
    const bool has_short_lines = plan_.columns.extent == 1 && plan_.outer.empty() && plan_.run.stride == 1;
    if (has_short_lines && plan_.run.extent <= kLeafLine) run_short_lines();
    else run_blocks();
  }

 private:
  /// Many results, each from one short dense line.
  void run_short_lines() const {
    ReductionDims outer = plan_.kept;
    const std::int64_t length = plan_.run.extent;
    const ReductionDim lines = outer.empty() ? ReductionDim{1, 0, 0} : outer.pop_innermost();
    const std::int64_t together = std::clamp<std::int64_t>(kBlockElements / length, 1, lines.extent);
    const std::int64_t groups = (lines.extent + together - 1) / together;
    const std::int64_t grain = std::max<std::int64_t>(kElementwiseGrain / (together * length), 1);
    parallel_for(outer.count() * groups, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t number = begin; number < end; ++number) {
        const ReductionDims::Offsets at = outer.locate(number / groups);
        const std::int64_t first = number % groups * together;
        kernels_.fold_lines(
            {element(at.in + first * lines.stride), std::min(together, lines.extent - first), lines.stride, length},
            result(at.out + first * lines.out_stride), lines.out_stride);
      }
    });
  }

  void run_blocks() const {
    const std::int64_t columns = plan_.columns.extent;
    const std::int64_t tile = std::min(columns, kTileColumns);
    const std::int64_t tiles = (columns + tile - 1) / tile;
    const std::int64_t block_rows = std::min(plan_.run.extent, std::max<std::int64_t>(kBlockElements / tile, 8));
    const std::int64_t blocks = plan_.outer.count() * ((plan_.run.extent + block_rows - 1) / block_rows);
    const std::int64_t chunk = std::max<std::int64_t>(kChunkElements / (block_rows * tile), 1);
    const std::int64_t chunks = (blocks + chunk - 1) / chunk;
    const std::int64_t results = plan_.kept.count() * tiles;
    const std::int64_t tile_bytes = bytes(tile, kernels_.result_size);
    const std::int64_t num_partial = chunks > 1 ? results * chunks : 0;
    const auto partial =
        std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(num_partial * tile_bytes));

    const auto columns_of = [&](std::int64_t index) { return std::min(tile, columns - index % tiles * tile); };
    const auto store = [&](std::int64_t index, const std::byte* sums) {
      const std::int64_t place = plan_.kept.locate(index / tiles).out + index % tiles * tile * plan_.columns.out_stride;
      unpack(sums, {result(place), kernels_.result_size, 1, columns_of(index), 0, plan_.columns.out_stride});
    };
    const std::int64_t work = std::max<std::int64_t>(std::min(chunk, blocks) * block_rows * tile, 1);
    const std::int64_t grain = std::max<std::int64_t>(kElementwiseGrain / work, 1);
    parallel_for(results * chunks, grain, [&](std::int64_t begin, std::int64_t end) {
      Tile sums;
      for (std::int64_t number = begin; number < end; ++number) {
        const std::int64_t index = number / chunks, block = number % chunks * chunk;
        const std::int64_t first = plan_.kept.locate(index / tiles).in + index % tiles * tile * plan_.columns.stride;
        std::byte* target = chunks > 1 ? partial.get() + number * tile_bytes : sums.bytes.data();
        add_blocks({first, columns_of(index), block_rows}, block, std::min(block + chunk, blocks), target);
        if (chunks == 1) store(index, target);
      }
    });
    if (chunks == 1) return;
    for (std::int64_t index = 0; index < results; ++index) {
      std::byte* sums = partial.get() + index * chunks * tile_bytes;
      for (std::int64_t gap = 1; gap < chunks; gap *= 2) {
        for (std::int64_t i = 0; i + gap < chunks; i += 2 * gap)
          kernels_.merge(sums + i * tile_bytes, sums + (i + gap) * tile_bytes, columns_of(index));
      }
      store(index, sums);
    }
  }

  struct Blocks {
    std::int64_t first, columns, rows;  // where their columns begin; how many there are; rows of one block
  };

  /// Combines blocks [begin, end), pairwise. As all below, writes `out`.
  void add_blocks(const Blocks& of, std::int64_t begin, std::int64_t end, void* out) const {
    if (end - begin == 1) {
      const std::int64_t blocks_per_run = (plan_.run.extent + of.rows - 1) / of.rows;
      const std::int64_t row = begin % blocks_per_run * of.rows;
      const std::int64_t offset = of.first + plan_.outer.locate(begin / blocks_per_run).in + row * plan_.run.stride;
      return add_rows({element(offset), std::min(of.rows, plan_.run.extent - row), plan_.run.stride, of.columns,
                       plan_.columns.stride},
                      out);
    }
    const std::int64_t middle = begin + (end - begin) / 2;
    Tile other;
    add_blocks(of, begin, middle, out);
    add_blocks(of, middle, end, other.data());
    kernels_.merge(out, other.data(), of.columns);
  }

  /// Some rows of one tile of columns, of any strides.
  struct Rows {
    const std::byte* x;
    std::int64_t count, stride;
    std::int64_t columns, column_stride;
  };

  void add_rows(const Rows& rows, void* out) const {
    if (rows.columns == 1 ? rows.stride == 1 : rows.column_stride == 1) return add_dense(rows, out);
    const std::int64_t most = std::max<std::int64_t>(kPackElements / rows.columns, 1);
    if (rows.count > most) return add_halves(rows, rows.count / 2, out, &Reduction::add_rows);
    alignas(64) std::array<std::byte, kPackElements * sizeof(double)> packed;
    pack({const_cast<std::byte*>(rows.x), kernels_.element_size, rows.count, rows.columns, rows.stride,
          rows.column_stride},
         packed.data());
    add_dense({packed.data(), rows.count, rows.columns, rows.columns, 1}, out);
  }

  void add_dense(const Rows& rows, void* out) const {
    if (rows.columns == 1) return add_line(rows, out);
    const std::int64_t most = std::min(kWideRow / rows.columns, rows.count / 4);
    if (rows.stride != rows.columns || most < 2) return add_dense_rows(rows, out);

    // Several dense, narrow rows as one wide row, which is folded in the end.
    auto together = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(most)));
    const std::int64_t width = together * rows.columns;
    const std::int64_t taken = rows.count / together * together;
    Tile wide;
    add_dense_rows({rows.x, taken / together, width, width, 1}, wide.data());
    while (together > 1) {
      together /= 2;
      const std::int64_t half = together * rows.columns;
      kernels_.merge(wide.data(), wide.bytes.data() + bytes(half, kernels_.result_size), half);
    }
    std::memcpy(out, wide.data(), static_cast<std::size_t>(bytes(rows.columns, kernels_.result_size)));
    if (taken == rows.count) return;
    add_dense_rows(
        {rows.x + bytes(taken * rows.stride, kernels_.element_size), rows.count - taken, rows.stride, rows.columns, 1},
        wide.data());
    kernels_.merge(out, wide.data(), rows.columns);
  }

  void add_dense_rows(const Rows& rows, void* out) const {
    if (rows.count > kLeafRows) {
      const std::int64_t half = (rows.count / 2 + kLeafRows - 1) / kLeafRows * kLeafRows;
      return add_halves(rows, half, out, &Reduction::add_dense_rows);
    }
    kernels_.fold_rows({rows.x, rows.count, rows.stride, rows.columns}, out);
  }

  void add_line(const Rows& rows, void* out) const {
    if (rows.count > kLeafLine) {
      const std::int64_t half = (rows.count / 2 + kLeafLine - 1) / kLeafLine * kLeafLine;
      return add_halves(rows, half, out, &Reduction::add_line);
    }
    kernels_.fold_lines({rows.x, 1, 0, rows.count}, out, 0);
  }

  void add_halves(const Rows& rows, std::int64_t first_count, void* out,
                  void (Reduction::*add)(const Rows&, void*) const) const {
    Rows first = rows, second = rows;
    first.count = first_count;
    second.count -= first_count;
    second.x += bytes(first_count * rows.stride, kernels_.element_size);
    Tile other;
    (this->*add)(first, out);
    (this->*add)(second, other.data());
    kernels_.merge(out, other.data(), rows.columns);
  }

  static std::int64_t bytes(std::int64_t elements, std::size_t size) {
    return elements * static_cast<std::int64_t>(size);
  }
  const std::byte* element(std::int64_t offset) const { return x_ + bytes(offset, kernels_.element_size); }
  std::byte* result(std::int64_t offset) const { return out_ + bytes(offset, kernels_.result_size); }

  const ReductionKernels& kernels_;
  ReductionPlan plan_;
  const std::byte* x_;
  std::byte* out_;
};

template <class Combine>
Tensor reduce_extremum(std::string_view op, const Tensor& x, const Axes& axes) {
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), x.dtype());
  if (x.num_elements() == 0 && result.num_elements() > 0) {
    throw ShapeError(Message(op, "nothing to choose from.")
                         .line("x {}, axes {}", x.shape(), axes)
                         .expected("extents of at least 1 along the reduced axes")
                         .got("0 elements")
                         .fix("leave empty extents out, or concatenate a first value"));
  }
  const ReductionKernels& kernels = dispatch_float(
      x.dtype(), op, []<class T>() -> const ReductionKernels& { return kReductionKernels<Combine, T, T>; });
  if (x.num_elements() > 0) Reduction(kernels, x, axes, result).run();
  return result;
}

const ReductionKernels& summing_kernels(DType dtype) {
  switch (dtype) {
    case DType::float32: return kReductionKernels<Add, float, float>;
    case DType::float64: return kReductionKernels<Add, double, double>;
    case DType::int64: return kReductionKernels<Add, std::int64_t, std::int64_t>;
    default: return kReductionKernels<Add, std::uint8_t, std::int64_t>;  // a bool is a byte of 0 or 1
  }
}

}  // namespace

Shape reduced_shape(const Shape& shape, const Axes& axes) {
  Shape result = shape;
  for (std::int64_t axis : axes) result[static_cast<int>(axis)] = 1;
  return result;
}

Tensor reduce_sum(const Tensor& x, const Axes& axes) {
  const DType dtype = is_floating(x.dtype()) ? x.dtype() : DType::int64;
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), dtype);
  if (x.num_elements() == 0) {
    fill(result, 0);
    return result;
  }
  Reduction(summing_kernels(x.dtype()), x, axes, result).run();
  return result;
}

Tensor reduce_max(const Tensor& x, const Axes& axes) { return reduce_extremum<Max>("max", x, axes); }
Tensor reduce_min(const Tensor& x, const Axes& axes) { return reduce_extremum<Min>("min", x, axes); }

}  // namespace dygrad::kernel
