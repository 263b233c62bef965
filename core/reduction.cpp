#include <dygrad/core/reduction.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <limits>
#include <vector>

#include <dygrad/core/copy.h>
#include <dygrad/core/parallel.h>
#include <dygrad/core/strided_loop.h>

namespace dygrad::raw {

// Note [How reductions walk memory]
// Dimensions are split into kept and reduced ones, each sorted from sparse to dense and merged. What remains is
//
//   kept dimensions  x  columns  <-  outer reduced dimensions  x  a run of rows
//
// where `columns` is the densest kept dimension if it is denser than every reduced one (channels of a channels-last
// image), else a single column. A piece is a stretch of one run; pieces are combined pairwise, neighbours first, and so
// are the rows of a piece. Where a row is narrow and rows follow each other densely (the only column of a contiguous
// tensor, three channels), several rows are taken as one wide row, folded in the end, so that additions fill vectors.
// Pieces are grouped into chunks, the unit of parallel work. Piece and chunk sizes depend on the problem alone, hence
// so does every rounding.

namespace {

constexpr std::int64_t kTileColumns = 512;  // columns per task: partial results stay in the first cache
constexpr std::int64_t kWideRow = 128;      // elements that narrow rows are widened to
constexpr std::int64_t kLeafRows = 64;      // rows that are added up without another split
constexpr std::int64_t kPieceElements = 16384;
constexpr std::int64_t kChunkElements = 65536;
constexpr std::int64_t kShortRun = 16;  // rows; shorter runs rather go by column, whatever the strides

struct Dim {
  std::int64_t extent;
  std::int64_t step;      // in x, elements
  std::int64_t out_step;  // in the result, elements; 0 for reduced dimensions
};

class DimList {
 public:
  /// Keeps the list sorted from sparse to dense; repeated elements (step 0) count as sparse.
  void insert(const Dim& dim) {
    int place = size_++;
    for (; place > 0 && sparsity(at(place - 1)) < sparsity(dim); --place) at(place) = at(place - 1);
    at(place) = dim;
  }
  void merge() {
    int kept = 0;
    for (int i = 1; i < size_; ++i) {
      Dim& outer = at(kept);
      const Dim inner = at(i);
      if (outer.step == inner.step * inner.extent && outer.out_step == inner.out_step * inner.extent) {
        outer = {outer.extent * inner.extent, inner.step, inner.out_step};
      } else {
        at(++kept) = inner;
      }
    }
    size_ = std::min(size_, kept + 1);
  }
  Dim pop_densest() { return at(--size_); }
  const Dim& densest() const { return dims_[static_cast<std::size_t>(size_ - 1)]; }
  bool empty() const { return size_ == 0; }
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int i = 0; i < size_; ++i) product *= dims_[static_cast<std::size_t>(i)].extent;
    return product;
  }
  struct Place {
    std::int64_t in = 0, out = 0;
  };
  Place locate(std::int64_t index) const {
    Place place;
    for (int i = size_ - 1; i >= 0; --i) {
      const Dim& dim = dims_[static_cast<std::size_t>(i)];
      const std::int64_t k = i == 0 ? index : index % dim.extent;
      index /= dim.extent;
      place.in += k * dim.step;
      place.out += k * dim.out_step;
    }
    return place;
  }
  static std::int64_t sparsity(const Dim& dim) {
    return dim.step == 0 ? std::numeric_limits<std::int64_t>::max() : std::abs(dim.step);
  }

 private:
  Dim& at(int i) { return dims_[static_cast<std::size_t>(i)]; }
  std::array<Dim, kMaxRank> dims_{};
  int size_ = 0;
};

/// See Note [How reductions walk memory].
struct Plan {
  DimList kept, outer;
  Dim columns{1, 1, 1};
  Dim run{1, 0, 0};

  Plan(const Tensor& x, const Axes& axes, const Tensor& result) {
    for (int i = 0; i < x.rank(); ++i) {
      if (x.shape()[i] == 1) continue;
      const bool reduced = axes.contains(i);
      (reduced ? outer : kept).insert({x.shape()[i], x.strides()[i], reduced ? 0 : result.strides()[i]});
    }
    kept.merge();
    outer.merge();
    if (!outer.empty()) run = outer.pop_densest();
    if (kept.empty()) return;
    const bool dense_columns = DimList::sparsity(kept.densest()) < DimList::sparsity(run) || run.step == 0;
    if (dense_columns || (run.extent < kShortRun && kept.densest().extent >= kShortRun)) columns = kept.pop_densest();
  }
};

template <class In, class Acc, class Combine>
struct Kernel {
  Combine combine;

  /// out[j] = combination of x[r * row_step + j * step] over r < rows; at least one row. Writes `out`.
  template <bool kUnitStep>
  void add_rows(const In* x, std::int64_t rows, std::int64_t row_step, std::int64_t columns, std::int64_t step,
                Acc* out) const {
    if (rows > kLeafRows) {
      const std::int64_t half = (rows / 2 + 7) / 8 * 8;
      std::array<Acc, kTileColumns> other;
      add_rows<kUnitStep>(x, half, row_step, columns, step, out);
      add_rows<kUnitStep>(x + half * row_step, rows - half, row_step, columns, step, other.data());
      merge(out, other.data(), columns);
      return;
    }
    const auto at = [x, row_step, step](std::int64_t row, std::int64_t j) {
      return static_cast<Acc>(x[row * row_step + (kUnitStep ? j : j * step)]);
    };
    const auto eight = [&](std::int64_t r, std::int64_t j) {
      return combine(combine(combine(at(r, j), at(r + 1, j)), combine(at(r + 2, j), at(r + 3, j))),
                     combine(combine(at(r + 4, j), at(r + 5, j)), combine(at(r + 6, j), at(r + 7, j))));
    };
    std::int64_t row = 0;
    if (rows >= 8) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = eight(0, j);
      row = 8;
    } else {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = at(0, j);
      row = 1;
    }
    for (; row + 8 <= rows; row += 8) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], eight(row, j));
    }
    for (; row < rows; ++row) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], at(row, j));
    }
  }

  void merge(Acc* out, const Acc* other, std::int64_t columns) const {
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < columns; ++j) out[j] = combine(out[j], other[j]);
  }

  /// As add_rows, taking several dense, narrow rows at a time.
  void add_run(const In* x, std::int64_t rows, std::int64_t row_step, std::int64_t columns, std::int64_t step,
               Acc* out) const {
    if (step != 1) return add_rows<false>(x, rows, row_step, columns, step, out);
    const std::int64_t most = std::min(kWideRow / columns, rows / 4);
    if (row_step != columns || most < 2) return add_rows<true>(x, rows, row_step, columns, step, out);

    auto together = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(most)));
    const std::int64_t wide_rows = rows / together;
    const std::int64_t taken = wide_rows * together;
    std::array<Acc, kTileColumns> wide;
    add_rows<true>(x, wide_rows, together * columns, together * columns, 1, wide.data());
    while (together > 1) {
      together /= 2;
      merge(wide.data(), wide.data() + together * columns, together * columns);
    }
    std::copy_n(wide.data(), columns, out);
    if (taken == rows) return;
    add_rows<true>(x + taken * row_step, rows - taken, row_step, columns, 1, wide.data());
    merge(out, wide.data(), columns);
  }

  void run(const Tensor& x, const Plan& plan, const Tensor& result) const {
    const In* in = x.data<In>();
    Acc* out = result.mutable_data<Acc>();
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
    const auto add_pieces = [&](const auto& self, const In* first, std::int64_t columns, std::int64_t begin,
                                std::int64_t end, Acc* sums) -> void {
      if (end - begin == 1) {
        const std::int64_t row = begin % pieces_per_run * piece_rows;
        const In* start = first + plan.outer.locate(begin / pieces_per_run).in + row * plan.run.step;
        add_run(start, std::min(piece_rows, plan.run.extent - row), plan.run.step, columns, plan.columns.step, sums);
        return;
      }
      const std::int64_t middle = begin + (end - begin) / 2;
      std::array<Acc, kTileColumns> other;
      self(self, first, columns, begin, middle, sums);
      self(self, first, columns, middle, end, other.data());
      merge(sums, other.data(), columns);
    };

    const auto columns_of = [&](std::int64_t index) {
      return std::min(tile, plan.columns.extent - index % tiles * tile);
    };
    const auto store = [&](std::int64_t index, const Acc* sums) {
      Acc* place = out + plan.kept.locate(index / tiles).out + index % tiles * tile * plan.columns.out_step;
      for (std::int64_t j = 0; j < columns_of(index); ++j) place[j * plan.columns.out_step] = sums[j];
    };
    const std::int64_t work = std::max<std::int64_t>(std::min(chunk, pieces) * piece_rows * tile, 1);
    parallel_for(results * chunks, std::max<std::int64_t>(kElementwiseGrain / work, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   std::array<Acc, kTileColumns> sums;
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t index = task / chunks;
                     const std::int64_t piece = task % chunks * chunk;
                     const In* first =
                         in + plan.kept.locate(index / tiles).in + index % tiles * tile * plan.columns.step;
                     Acc* target = chunks > 1 ? partial.data() + task * tile : sums.data();
                     add_pieces(add_pieces, first, columns_of(index), piece, std::min(piece + chunk, pieces), target);
                     if (chunks == 1) store(index, target);
                   }
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

template <class In, class Acc, class Combine>
void reduce_into(const Tensor& x, const Axes& axes, const Combine& combine, const Tensor& result) {
  Kernel<In, Acc, Combine>{combine}.run(x, Plan(x, axes, result), result);
}

template <class Combine>
Tensor reduce_extremum(std::string_view op, const Tensor& x, const Axes& axes, const Combine& combine) {
  Tensor result = Tensor::empty(reduced_shape(x.shape(), axes), x.dtype());
  assert(x.num_elements() > 0 || result.num_elements() == 0);
  if (x.num_elements() == 0) return result;
  dispatch_float(x.dtype(), op, [&]<class T>() { reduce_into<T, T>(x, axes, combine, result); });
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
  const auto add = [](auto a, auto b) { return a + b; };
  dispatch_all(x.dtype(), [&]<class T>() {
    using Acc = std::conditional_t<std::is_floating_point_v<T>, T, std::int64_t>;
    reduce_into<T, Acc>(x, axes, add, result);
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
