#include <dygrad/core/kernels/elementwise_loop.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdlib>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/kernels/strided_pack.h>
#include <dygrad/core/simd/nontemporal_store.h>
#include <dygrad/core/simd/prefetch.h>

namespace dygrad::kernel {

namespace {

// Note [Tiles of strided operands]
// After sorting and merging (StridedLoop) the two innermost dimensions are cut into tiles of rows x columns. An operand
// whose tile is dense is used where it lies; any other is copied into a buffer in the L1 cache (or, if written, out
// of it), and a repeated one is copied once for as long as its address stays the same.
//   Short rows (kShortRow) are joined until they fill a tile, unless rows of at least kDirectRow elements are dense and
//   differ, as in a window of an image: then each is a span.
//   Long rows are cut into spans. Only if an operand runs across them (a transposed one) does a tile have several
//   rows, so that each cache line of that operand is used up at once. A streamed result wants longer spans than
//   the operand across them, whose neighbouring lines are fetched for the tile below anyway.
constexpr std::int64_t kTileElements = 1024;
constexpr std::int64_t kAcrossElements = 4096;
constexpr std::int64_t kShortRow = 256;
constexpr std::int64_t kDirectRow = 32;
constexpr std::int64_t kAcrossRows = 64, kAcrossColumns = 64;
constexpr std::int64_t kNontemporalRows = 32, kNontemporalColumns = 128;
constexpr std::int64_t kLongTile = 16384;       // elements, where nothing is copied
constexpr std::int64_t kNontemporalTile = 512;  // elements, where nothing but the result is

/// See Note [Non-temporal stores]. True if the result is too large for the caches and is not an input, too, whose lines
/// are there already.
bool is_nontemporal(std::span<const ElementwiseOperand> operands) {
  const ElementwiseOperand& out = operands[0];
  if (static_cast<std::size_t>(out.tensor->num_elements()) * size_of(out.tensor->dtype()) < kNontemporalBytes)
    return false;
  return std::ranges::none_of(operands.subspan(1), [&](const ElementwiseOperand& in) { return in.data == out.data; });
}

struct TiledOperand {
  std::byte* data;
  std::size_t element_size;
  std::int64_t row_stride, column_stride;
  bool is_dense;  // within a tile
};

class TiledLoop {
 public:
  TiledLoop(const StridedLoop& loop, std::span<const ElementwiseOperand> operands)
      : loop_(loop), count_(operands.size()) {
    const int inner = loop.rank() - 1;
    const bool has_rows = inner > 0;
    row_extent_ = has_rows ? loop.extent(inner - 1) : 1;
    column_extent_ = loop.extent(inner);
    for (std::size_t k = 0; k < count_; ++k) {
      const int operand = static_cast<int>(k);
      const std::int64_t row_stride = has_rows ? loop.stride(inner - 1, operand) : 0;
      const std::int64_t column_stride = loop.stride(inner, operand);
      operands_[k] = {static_cast<std::byte*>(operands[k].data), size_of(operands[k].tensor->dtype()), row_stride,
                      column_stride, false};
      runs_across_ = runs_across_ || is_across(row_stride, column_stride);
    }

    outer_dims_ = std::max(inner - 1, 0);
    if (column_extent_ <= kShortRow) {
      columns_ = column_extent_;
      rows_ = std::min(row_extent_, (runs_across_ ? kAcrossElements : kTileElements) / columns_);
      const bool goes_by_row = columns_ >= kDirectRow && std::ranges::all_of(used(), [](const TiledOperand& each) {
                                 return each.column_stride == 1 && each.row_stride != 0;
                               });
      for (TiledOperand& each : used()) {
        each.is_dense = goes_by_row || (each.column_stride == 1 && (rows_ == 1 || each.row_stride == columns_));
      }
      choose_streaming(operands);
      return;
    }
    for (TiledOperand& each : used()) each.is_dense = each.column_stride == 1;
    if (runs_across_) {
      rows_ = std::min(row_extent_, kAcrossRows);
      columns_ = kAcrossColumns;
      choose_streaming(operands);
      if (is_nontemporal_) {
        rows_ = std::min(row_extent_, kNontemporalRows);
        columns_ = kNontemporalColumns;
      }
      return;
    }
    rows_ = row_extent_ = 1;  // rows count as one more outer dimension
    outer_dims_ = inner;
    choose_streaming(operands);
    const bool all_dense = std::ranges::all_of(used().subspan(is_nontemporal_ ? 1 : 0), &TiledOperand::is_dense);
    columns_ = std::min(column_extent_, !all_dense ? kTileElements : is_nontemporal_ ? kAcrossElements : kLongTile);
  }

  void run(ElementwiseKernel kernel, const void* f) const {
    const std::int64_t row_tiles = (row_extent_ + rows_ - 1) / rows_;
    const std::int64_t tiles = row_tiles * ((column_extent_ + columns_ - 1) / columns_);
    const std::int64_t outer = loop_.num_elements() / (row_extent_ * column_extent_);
    const std::int64_t grain = std::max<std::int64_t>(kElementwiseGrain / (rows_ * columns_), 1);
    parallel_for(outer * tiles, grain, [&](std::int64_t begin, std::int64_t end) {
      Buffers buffers;
      for (std::int64_t number = begin; number < end;) {
        const StridedLoop::Offsets at = loop_.locate(number / tiles, outer_dims_);
        const std::int64_t last = std::min(end, (number / tiles + 1) * tiles);
        for (; number < last; ++number) {
          const std::int64_t tile = number % tiles;
          run_tile(kernel, f, at, tile % row_tiles * rows_, tile / row_tiles * columns_, buffers);
        }
      }
      if (is_nontemporal_) finish_nontemporal_stores();
    });
  }

 private:
  struct Buffer {
    alignas(64) std::array<std::byte, kAcrossElements * sizeof(double)> bytes;
    std::int64_t offset = 0, rows = 0, columns = 0;  // of the tile inside
  };
  using Buffers = std::array<Buffer, StridedLoop::kMaxOperands>;

  static bool is_across(std::int64_t row_stride, std::int64_t column_stride) {
    return row_stride != 0 && std::abs(row_stride) < std::abs(column_stride);
  }

  /// A streamed result goes through its buffer. If it is written in rows, all must be made of whole lines: those that
  /// two tiles share would be fetched after all.
  void choose_streaming(std::span<const ElementwiseOperand> operands) {
    TiledOperand& out = operands_[0];
    if (!is_nontemporal(operands) || out.column_stride != 1) return;
    const auto fills_lines = [&](std::int64_t elements) {
      return elements * static_cast<std::int64_t>(out.element_size) % static_cast<std::int64_t>(kLine) == 0;
    };
    bool has_whole_rows = rows_ == 1 || out.row_stride == columns_;  // of one span
    if (!has_whole_rows && bytes_into_line(out.data) == 0 && fills_lines(columns_) && fills_lines(column_extent_)) {
      has_whole_rows = true;
      for (int dim = 0; dim < loop_.rank() - 1; ++dim) has_whole_rows &= fills_lines(loop_.stride(dim, 0));
    }
    if (!has_whole_rows) return;
    is_nontemporal_ = true;
    out.is_dense = false;
  }

  std::span<TiledOperand> used() { return std::span(operands_).first(count_); }

  void run_tile(ElementwiseKernel kernel, const void* f, const StridedLoop::Offsets& at, std::int64_t row,
                std::int64_t column, Buffers& buffers) const {
    const std::int64_t rows = std::min(rows_, row_extent_ - row);
    const std::int64_t columns = std::min(columns_, column_extent_ - column);
    std::array<void*, StridedLoop::kMaxOperands> places;
    std::array<std::size_t, StridedLoop::kMaxOperands> row_bytes;
    bool is_contiguous_span = true;
    for (std::size_t k = 0; k < count_; ++k) {
      const TiledOperand& operand = operands_[k];
      const std::int64_t offset = at[k] + row * operand.row_stride + column * operand.column_stride;
      if (operand.is_dense) {
        places[k] = operand.data + offset * static_cast<std::int64_t>(operand.element_size);
        row_bytes[k] = static_cast<std::size_t>(operand.row_stride) * operand.element_size;
        is_contiguous_span = is_contiguous_span && (rows == 1 || operand.row_stride == columns);
        continue;
      }
      Buffer& buffer = buffers[k];
      places[k] = buffer.bytes.data();
      row_bytes[k] = static_cast<std::size_t>(columns) * operand.element_size;
      const bool is_there = buffer.offset == offset && buffer.rows >= rows && buffer.columns == columns;
      if (k > 0 && !is_there) pack(place_of(operand, offset, rows, columns), buffer.bytes.data());
      buffer.offset = offset;
      buffer.rows = rows;
      buffer.columns = columns;
    }

    const StridedBlock out = place_of(operands_[0], buffers[0].offset, rows, columns);
    const bool stores_rows =
        is_nontemporal_ && !is_contiguous_span && out.row_stride != columns;  // at once: fewer bytes wait
    if (is_contiguous_span) {
      kernel(f, rows * columns, places.data());
    } else {
      if (stores_rows) row_bytes[0] = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        if (runs_across_) fetch_row_below(places, row_bytes, rows, columns);
        kernel(f, columns, places.data());
        if (stores_rows) store_row_nontemporal(buffers[0].bytes.data(), out, r);
        for (std::size_t k = 0; k < count_; ++k) places[k] = static_cast<std::byte*>(places[k]) + row_bytes[k];
      }
    }
    if (operands_[0].is_dense || stores_rows) return;
    if (is_nontemporal_) store_rows_nontemporal(buffers[0].bytes.data(), out);
    else unpack(buffers[0].bytes.data(), out);
  }

  static StridedBlock place_of(const TiledOperand& operand, std::int64_t offset, std::int64_t rows,
                               std::int64_t columns) {
    return {operand.data + offset * static_cast<std::int64_t>(operand.element_size),
            operand.element_size,
            rows,
            columns,
            operand.row_stride,
            operand.column_stride};
  }

  /// The row of the next tile that takes the place of this one.
  void fetch_row_below(const std::array<void*, StridedLoop::kMaxOperands>& places,
                       const std::array<std::size_t, StridedLoop::kMaxOperands>& row_bytes, std::int64_t rows,
                       std::int64_t columns) const {
    for (std::size_t k = 1; k < count_; ++k) {
      if (!operands_[k].is_dense) continue;
      prefetch(static_cast<const std::byte*>(places[k]) + rows * static_cast<std::int64_t>(row_bytes[k]),
               columns * static_cast<std::int64_t>(operands_[k].element_size));
    }
  }

  static void store_row_nontemporal(const std::byte* from, const StridedBlock& to, std::int64_t r) {
    const auto size = static_cast<std::int64_t>(to.element_size);
    store_nontemporal(from, to.data + r * to.row_stride * size, static_cast<std::size_t>(to.columns * size));
  }

  static void store_rows_nontemporal(const std::byte* from, const StridedBlock& to) {
    const auto row_bytes = static_cast<std::int64_t>(to.element_size) * to.columns;
    if (to.row_stride == to.columns)
      return store_nontemporal(from, to.data, static_cast<std::size_t>(to.rows * row_bytes));
    for (std::int64_t r = 0; r < to.rows; ++r) store_row_nontemporal(from + r * row_bytes, to, r);
  }

  const StridedLoop& loop_;
  std::size_t count_;
  std::array<TiledOperand, StridedLoop::kMaxOperands> operands_;
  int outer_dims_;
  std::int64_t row_extent_, column_extent_, rows_, columns_;
  bool runs_across_ = false;     // an operand's neighbours lie below each other
  bool is_nontemporal_ = false;  // so that the result counts as not dense
};

void run_dense_nontemporal(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands,
                           std::int64_t n) {
  std::array<std::int64_t, StridedLoop::kMaxOperands> sizes{};
  std::ranges::transform(operands, sizes.begin(), [](const ElementwiseOperand& each) {
    return static_cast<std::int64_t>(size_of(each.tensor->dtype()));
  });
  const auto place = [&](std::size_t k, std::int64_t at) {
    return static_cast<std::byte*>(operands[k].data) + at * sizes[k];
  };
  parallel_for(n, kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    alignas(kLine) std::array<std::byte, kNontemporalTile * sizeof(double)> buffer;
    std::array<void*, StridedLoop::kMaxOperands> places{buffer.data()};
    for (std::int64_t at = begin, count; at < end; at += count) {
      // The first tile is shorter, so that the others begin with a line.
      const std::int64_t past_line = static_cast<std::int64_t>(bytes_into_line(place(0, at))) / sizes[0];
      count = std::min(end - at, kNontemporalTile - past_line);
      for (std::size_t k = 1; k < operands.size(); ++k) places[k] = place(k, at);
      kernel(f, count, places.data());
      store_nontemporal(buffer.data(), place(0, at), static_cast<std::size_t>(count * sizes[0]));
    }
    finish_nontemporal_stores();
  });
}

/// One element: no loop to set up, which would take longer than the arithmetic.
void run_one(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands) {
  std::array<void*, StridedLoop::kMaxOperands> places;
  for (std::size_t k = 0; k < operands.size(); ++k) places[k] = operands[k].data;
  kernel(f, 1, places.data());
}

void run_dense(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands, std::int64_t n) {
  parallel_for(n, kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    std::array<void*, StridedLoop::kMaxOperands> places;
    for (std::size_t k = 0; k < operands.size(); ++k) {
      places[k] = static_cast<std::byte*>(operands[k].data) +
                  begin * static_cast<std::int64_t>(size_of(operands[k].tensor->dtype()));
    }
    kernel(f, end - begin, places.data());
  });
}

}  // namespace

void run_elementwise(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands) {
  assert(operands.size() <= StridedLoop::kMaxOperands);
  if (operands[0].tensor->num_elements() == 1) return run_one(kernel, f, operands);
  std::array<const Tensor*, StridedLoop::kMaxOperands> tensors{};
  std::ranges::transform(operands, tensors.begin(), &ElementwiseOperand::tensor);
  const StridedLoop loop(std::span<const Tensor* const>(tensors).first(operands.size()));
  if (loop.num_elements() == 0) return;
  if (loop.is_dense()) {
    return (is_nontemporal(operands) ? run_dense_nontemporal : run_dense)(kernel, f, operands, loop.num_elements());
  }
  TiledLoop(loop, operands).run(kernel, f);
}

const Tensor& leading(std::span<const Tensor* const> inputs) {
  if (inputs.size() == 1) return *inputs[0];
  const auto dense = std::ranges::find_if(inputs, [](const Tensor* x) { return x->memory_format().has_value(); });
  return dense == inputs.end() ? *inputs[0] : **dense;
}

Tensor run_elementwise(ElementwiseKernel kernel, const void* f, std::span<const Tensor* const> inputs, DType dtype) {
  assert(inputs.size() < StridedLoop::kMaxOperands);
  const bool is_one = inputs[0]->num_elements() == 1;
  Tensor out = is_one ? Tensor::empty(inputs[0]->shape(), dtype) : empty_like(leading(inputs), dtype);
  std::array<ElementwiseOperand, StridedLoop::kMaxOperands> storage;
  storage[0] = out;
  for (std::size_t k = 0; k < inputs.size(); ++k) storage[k + 1] = *inputs[k];
  const std::span<const ElementwiseOperand> operands(storage.data(), inputs.size() + 1);
  if (is_one) run_one(kernel, f, operands);
  else run_elementwise(kernel, f, operands);
  return out;
}

}  // namespace dygrad::kernel
