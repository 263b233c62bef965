#include <dygrad/core/reduction.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <vector>

#include <dygrad/core/copy.h>
#include <dygrad/core/parallel.h>
#include <dygrad/core/reduction_plan.h>
#include <dygrad/core/strided_loop.h>

namespace dygrad::raw {

namespace {

constexpr std::int64_t kTileColumns = 512;  // columns per task: partial results stay in the first cache
constexpr std::int64_t kWideRow = 128;      // elements that narrow rows are widened to
constexpr std::int64_t kLeafRows = 64;      // rows that are added up without another split
constexpr std::int64_t kPieceElements = 16384;
constexpr std::int64_t kChunkElements = 65536;

// What is combined, given an element's offset and its column in the tile. kCentred sources know a number per column.
template <class In, class Acc>
struct Values {
  static constexpr bool kCentred = false;
  const In* x;
  Acc operator()(std::int64_t offset, std::int64_t) const { return static_cast<Acc>(x[offset]); }
};

template <class T>
struct SquaredDistances {
  static constexpr bool kCentred = true;
  const T* x;
  const T* centre;
  T operator()(std::int64_t offset, std::int64_t column) const {
    const T distance = x[offset] - centre[column];
    return distance * distance;
  }
};

template <class T>
struct DistancesTimes {
  static constexpr bool kCentred = true;
  const T* x;
  const T* factor;  // of x's strides
  const T* centre;
  T operator()(std::int64_t offset, std::int64_t column) const { return (x[offset] - centre[column]) * factor[offset]; }
};

/// Some rows of one tile of columns.
struct Rows {
  std::int64_t offset, count, step;
  std::int64_t columns, column_step;
};

template <class Acc, class Combine>
struct Kernel {
  Combine combine;

  /// out[j] = combination of the rows' elements in column j; at least one row. Writes `out`.
  template <bool kUnitStep, class Source>
  void add_rows(const Source& source, const Rows& rows, Acc* out) const {
    if (rows.count > kLeafRows) {
      Rows first = rows, second = rows;
      first.count = (rows.count / 2 + 7) / 8 * 8;
      second.count -= first.count;
      second.offset += first.count * rows.step;
      std::array<Acc, kTileColumns> other;
      add_rows<kUnitStep>(source, first, out);
      add_rows<kUnitStep>(source, second, other.data());
      merge(out, other.data(), rows.columns);
      return;
    }
    const std::int64_t columns = rows.columns;
    const auto at = [&source, rows](std::int64_t row, std::int64_t j) {
      return source(rows.offset + row * rows.step + (kUnitStep ? j : j * rows.column_step), j);
    };
    const auto eight = [&](std::int64_t r, std::int64_t j) {
      return combine(combine(combine(at(r, j), at(r + 1, j)), combine(at(r + 2, j), at(r + 3, j))),
                     combine(combine(at(r + 4, j), at(r + 5, j)), combine(at(r + 6, j), at(r + 7, j))));
    };
    std::int64_t row = 0;
    if (rows.count >= 8) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = eight(0, j);
      row = 8;
    } else {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = at(0, j);
      row = 1;
    }
    for (; row + 8 <= rows.count; row += 8) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], eight(row, j));
    }
    for (; row < rows.count; ++row) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], at(row, j));
    }
  }

  void merge(Acc* out, const Acc* other, std::int64_t columns) const {
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], other[j]);
  }

  /// As add_rows, taking several dense, narrow rows at a time.
  template <class Source>
  void add_run(const Source& source, const Rows& rows, Acc* out) const {
    if (rows.column_step != 1) return add_rows<false>(source, rows, out);
    const std::int64_t most = std::min(kWideRow / rows.columns, rows.count / 4);
    if (rows.step != rows.columns || most < 2) return add_rows<true>(source, rows, out);

    auto together = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(most)));
    const std::int64_t width = together * rows.columns;
    const std::int64_t wide_rows = rows.count / together;
    const std::int64_t taken = wide_rows * together;
    std::array<Acc, kTileColumns> wide;
    add_rows<true>(source, {rows.offset, wide_rows, width, width, 1}, wide.data());
    while (together > 1) {
      together /= 2;
      merge(wide.data(), wide.data() + together * rows.columns, together * rows.columns);
    }
    std::copy_n(wide.data(), rows.columns, out);
    if (taken == rows.count) return;
    Rows rest = rows;
    rest.offset += taken * rows.step;
    rest.count -= taken;
    add_rows<true>(source, rest, wide.data());
    merge(out, wide.data(), rows.columns);
  }

  template <class Source>
  void run(const Source& source, const ReductionPlan& plan, Acc* out) const {
    const std::int64_t tile = std::min(plan.columns.extent, kTileColumns);
    const std::int64_t tiles = (plan.columns.extent + tile - 1) / tile;
    const std::int64_t piece_rows = std::min(plan.run.extent, std::max<std::int64_t>(kPieceElements / tile / 8 * 8, 8));
    const std::int64_t pieces_per_run = (plan.run.extent + piece_rows - 1) / piece_rows;
    const std::int64_t pieces = plan.outer.count() * pieces_per_run;
    const std::int64_t chunk = std::max<std::int64_t>(kChunkElements / (piece_rows * tile), 1);
    const std::int64_t chunks = (pieces + chunk - 1) / chunk;
    const std::int64_t results = plan.kept.count() * tiles;
    std::vector<Acc> partial(static_cast<std::size_t>(chunks > 1 ? results * chunks * tile : 0));

    // Combines pieces [begin, end) of the columns that start at `first`, pairwise.
    const auto add_pieces = [&](const auto& self, const Source& from, std::int64_t first, std::int64_t columns,
                                std::int64_t begin, std::int64_t end, Acc* sums) -> void {
      if (end - begin == 1) {
        const std::int64_t row = begin % pieces_per_run * piece_rows;
        const std::int64_t offset = first + plan.outer.locate(begin / pieces_per_run).in + row * plan.run.step;
        add_run(from, {offset, std::min(piece_rows, plan.run.extent - row), plan.run.step, columns, plan.columns.step},
                sums);
        return;
      }
      const std::int64_t middle = begin + (end - begin) / 2;
      std::array<Acc, kTileColumns> other;
      self(self, from, first, columns, begin, middle, sums);
      self(self, from, first, columns, middle, end, other.data());
      merge(sums, other.data(), columns);
    };

    const auto columns_of = [&](std::int64_t index) {
      return std::min(tile, plan.columns.extent - index % tiles * tile);
    };
    const auto place_of = [&](std::int64_t index) {
      return plan.kept.locate(index / tiles).out + index % tiles * tile * plan.columns.out_step;
    };
    const auto store = [&](std::int64_t index, const Acc* sums) {
      Acc* place = out + place_of(index);
      for (std::int64_t j = 0; j < columns_of(index); ++j) place[j * plan.columns.out_step] = sums[j];
    };
    const auto task = [&](std::int64_t number, Acc* sums) {
      const std::int64_t index = number / chunks;
      const std::int64_t piece = number % chunks * chunk;
      const std::int64_t columns = columns_of(index);
      const std::int64_t first = plan.kept.locate(index / tiles).in + index % tiles * tile * plan.columns.step;
      Acc* target = chunks > 1 ? partial.data() + number * tile : sums;
      if constexpr (Source::kCentred) {
        Source tiled = source;
        std::array<Acc, kTileColumns> centre;  // repeated, for rows taken together
        const std::int64_t width = std::max(columns, kWideRow);
        for (std::int64_t j = 0; j < width; ++j)
          centre[static_cast<std::size_t>(j)] = source.centre[place_of(index) + j % columns * plan.columns.out_step];
        tiled.centre = centre.data();
        add_pieces(add_pieces, tiled, first, columns, piece, std::min(piece + chunk, pieces), target);
      } else {
        add_pieces(add_pieces, source, first, columns, piece, std::min(piece + chunk, pieces), target);
      }
      if (chunks == 1) store(index, target);
    };

    const std::int64_t work = std::max<std::int64_t>(std::min(chunk, pieces) * piece_rows * tile, 1);
    parallel_for(results * chunks, std::max<std::int64_t>(kElementwiseGrain / work, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   std::array<Acc, kTileColumns> sums;
                   for (std::int64_t number = begin; number < end; ++number) task(number, sums.data());
                 });
    if (chunks == 1) return;
    for (std::int64_t index = 0; index < results; ++index) {
      Acc* sums = partial.data() + index * chunks * tile;
      for (std::int64_t gap = 1; gap < chunks; gap *= 2) {
        for (std::int64_t i = 0; i + gap < chunks; i += 2 * gap)
          merge(sums + i * tile, sums + (i + gap) * tile, columns_of(index));
      }
      store(index, sums);
    }
  }
};

constexpr auto kAdd = [](auto a, auto b) { return a + b; };

template <class Acc, class Source, class Combine>
void reduce_into(const Source& source, const Combine& combine, const Tensor& x, const Axes& axes,
                 const Tensor& result) {
  Kernel<Acc, Combine>{combine}.run(source, ReductionPlan(x, axes, result), result.mutable_data<Acc>());
}

/// True if one offset serves both tensors of equal shape.
bool alike(const Tensor& a, const Tensor& b) {
  const auto both = [&](MemoryFormat format) { return a.is_contiguous(format) && b.is_contiguous(format); };
  return a.strides() == b.strides() || both(MemoryFormat::row_major) || both(MemoryFormat::channels_last);
}

template <class Combine>
Tensor reduce_extremum(std::string_view op, const Tensor& x, const Axes& axes, const Combine& combine) {
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), x.dtype());
  assert(x.num_elements() > 0 || result.num_elements() == 0);
  if (x.num_elements() == 0) return result;
  dispatch_float(x.dtype(), op,
                 [&]<class T>() { reduce_into<T>(Values<T, T>{x.data<T>()}, combine, x, axes, result); });
  return result;
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
  dispatch_all(x.dtype(), [&]<class T>() {
    using Acc = std::conditional_t<std::is_floating_point_v<T>, T, std::int64_t>;
    reduce_into<Acc>(Values<T, Acc>{x.data<T>()}, kAdd, x, axes, result);
  });
  return result;
}

Tensor reduce_squared_distance(const Tensor& x, const Tensor& centre, const Axes& axes) {
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), x.dtype());
  assert(centre.shape() == result.shape() && centre.is_contiguous());
  fill(result, 0);
  if (x.num_elements() == 0) return result;
  dispatch_float(x.dtype(), "reduce", [&]<class T>() {
    reduce_into<T>(SquaredDistances<T>{x.data<T>(), centre.data<T>()}, kAdd, x, axes, result);
  });
  return result;
}

Tensor reduce_distance_times(const Tensor& x, const Tensor& centre, const Tensor& factor, const Axes& axes) {
  assert(x.shape() == factor.shape());
  if (!alike(x, factor))
    return reduce_distance_times(clone(x, MemoryFormat::row_major), centre, clone(factor, MemoryFormat::row_major),
                                 axes);
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), x.dtype());
  assert(centre.shape() == result.shape() && centre.is_contiguous());
  fill(result, 0);
  if (x.num_elements() == 0) return result;
  dispatch_float(x.dtype(), "reduce", [&]<class T>() {
    reduce_into<T>(DistancesTimes<T>{x.data<T>(), factor.data<T>(), centre.data<T>()}, kAdd, x, axes, result);
  });
  return result;
}

Tensor reduce_max(const Tensor& x, const Axes& axes) {
  return reduce_extremum("max", x, axes, [](auto a, auto b) { return a > b || a != a ? a : b; });
}

Tensor reduce_min(const Tensor& x, const Axes& axes) {
  return reduce_extremum("min", x, axes, [](auto a, auto b) { return a < b || a != a ? a : b; });
}

}  // namespace dygrad::raw
