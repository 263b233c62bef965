// fwd: the transposed convolution as GEMM and col2im: every input pixel is multiplied by the whole kernel, then each
// output pixel sums what reaches it. Where filters are few they do not fill a vector; here vectors run along pixels, so
// their number does not matter.
//
// Note [GEMM and col2im]
//   x    [pixel][channel]              transposed, NR pixels at a time:  [channel][pixel]
//   col  [filter, tap][input pixel]    = weights [filter, tap][channel] * [channel][pixel]
//   sums [column residue, filter][q]   = rows of col of a filter, added with shifts of whole strides (col2im)
//   y    [q][column residue, filter]   transposed back: one row of an output image
// Column `c` of an output row is q * stride + residue - padding. What lies between x and y stays in the cache; rows of
// col are kept until no later output row needs them.
#include <array>
#include <type_traits>

#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/axis_taps.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/prepacked.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

template <class T>
void transpose(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step) {
  using Word = std::conditional_t<std::is_same_v<T, Bf16Pair>, float, T>;  // of the same size
  kernels<Word>().transpose(reinterpret_cast<const Word* const*>(lines), num_lines, count, reinterpret_cast<Word*>(to),
                            step);
}

std::int64_t num_col_rows(const Conv2DSizes& s) { return s.o * s.taps(); }

/// Weights [channel][filter, tap] as [filter, tap][channel].
template <class T>
void pack(const Conv2DSizes& s, const scalar_t<T>* weights, T* packed) {
  const std::int64_t col_rows = num_col_rows(s), k_blocks = num_packed<T>(s.c);
  if constexpr (kVnniBlock<T> == 1) {
    std::vector<const T*> lines;
    for (std::int64_t c = 0; c < s.c; ++c) lines.push_back(weights + c * col_rows);
    transpose(lines.data(), s.c, col_rows, packed, k_blocks);
  } else {
    for (std::int64_t c = 0; c < s.c; c += kVnniBlock<T>) {
      for (std::int64_t col_row = 0; col_row < col_rows; ++col_row) {
        const std::uint32_t second = c + 1 < s.c ? weights[(c + 1) * col_rows + col_row] : 0;
        packed[col_row * k_blocks + c / kVnniBlock<T>] = Bf16Pair{weights[c * col_rows + col_row] | second << 16};
      }
    }
  }
}

/// Rows of the input, counted through the batch, that these rows and one more of the output need.
Range with_rows_of(Range inputs, const Conv2DSizes& s, const AxisTaps& down, std::int64_t output) {
  const auto taps = down.of(output % s.oh);
  if (taps.empty()) return inputs;
  const std::int64_t image = output / s.oh * s.h, last = image + taps.front().input + 1;
  const std::int64_t first = image + taps.back().input;
  return inputs.size() == 0 ? Range{first, last} : Range{std::min(inputs.first, first), std::max(inputs.last, last)};
}

/// The col matrix of some rows of the input.
template <class T>
class ColBuffer {
 public:
  ColBuffer(const Conv2DSizes& s, const T* x, const T* weights)
      : s_(s), k_blocks_(num_packed<T>(s.c)), x_(x), leading_dim_(leading_dim(s)) {
    for (std::int64_t col_row = 0; col_row < num_col_rows(s); ++col_row) {
      weights_.push_back(weights + col_row * k_blocks_);
    }
    targets_.resize(weights_.size());
  }

  /// Input rows held at the same time: all that one row of the output needs, and more where they are small.
  static std::int64_t rows_that_fit(const Conv2DSizes& s) {
    constexpr std::int64_t kColBytes = 256 << 10;
    const std::int64_t row_bytes = num_col_rows(s) * s.w * static_cast<std::int64_t>(sizeof(acc_t<T>));
    return std::clamp(kColBytes / row_bytes, rows_needed(s), std::max(rows_needed(s), s.n * s.h));
  }
  /// Those of one row of the output.
  static std::int64_t rows_needed(const Conv2DSizes& s) { return std::min((s.kh - 1) * s.dh / s.sh + 1, s.h); }
  static std::int64_t col_size(const Conv2DSizes& s) { return num_col_rows(s) * leading_dim(s) + 2 * kMaxNr; }
  static std::int64_t panel_size(const Conv2DSizes& s) { return num_packed<T>(s.c) * kMaxNr; }

  void use(acc_t<T>* col, T* panel) {
    col_ = col + kMaxNr;
    panel_ = panel;
  }

  /// Computes the input rows `wanted`; keeps those of the last call that are among them.
  void hold(Range wanted) {
    const bool overlap = held_.first <= wanted.first && wanted.first < held_.last;  // with dilation, rows may step back
    const Range kept{wanted.first, overlap ? std::min(held_.last, wanted.last) : wanted.first};
    const std::int64_t count = kept.size() * s_.w;
    if (kept.first > held_.first && count > 0) {
      for (std::int64_t col_row = 0; col_row < num_col_rows(s_); ++col_row) {
        const acc_t<T>* from = col_ + col_row * leading_dim_ + (kept.first - held_.first) * s_.w;
        std::copy_n(from, count, col_ + col_row * leading_dim_);
      }
    }
    held_ = wanted;
    multiply({kept.last * s_.w, wanted.last * s_.w});
  }

  const acc_t<T>* row(std::int64_t input_row) const { return col_ + (input_row - held_.first) * s_.w; }
  std::int64_t leading_dim() const { return leading_dim_; }

 private:
  /// From one row of col to the next: a block of input rows, and room for whole vectors.
  static std::int64_t leading_dim(const Conv2DSizes& s) {
    return padded_leading_dim<acc_t<T>>(rows_that_fit(s) * s.w + kMaxNr);
  }

  /// Multiplies these pixels of the input.
  void multiply(Range pixels) {
    const Kernels<acc_t<T>>& vectors = kernels<acc_t<T>>();
    const Microkernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kStart = 0;
    std::array<const T*, kMaxNr> lines{};
    const std::int64_t last_pixel = s_.n * s_.h * s_.w - 1;
    std::array<const T*, 2 * kMaxMr> rows{};
    for (std::int64_t first = pixels.first; first < pixels.last; first += kernel.nr()) {
      const std::int64_t count = std::min<std::int64_t>(kernel.nr(), pixels.last - first);
      const int num_vectors = count > vectors.lanes ? 2 : 1;
      const std::int64_t width = num_vectors * vectors.lanes;
      for (std::int64_t i = 0; i < width; ++i) lines[i] = x_ + (first + std::min(i, count - 1)) * k_blocks_;
      transpose(lines.data(), width, k_blocks_, panel_, width);
      acc_t<T>* const to = col_ + first - held_.first * s_.w;
      for (std::int64_t col_row = 0; col_row < num_col_rows(s_); ++col_row)
        targets_[col_row] = to + col_row * leading_dim_;
      IgemmTile<T> tile{.a = nullptr,
                        .b = panel_,
                        .ldb = width,
                        .a_offsets = &kStart,
                        .b_rows = &kStart,
                        .num_segments = 1,
                        .depth = k_blocks_,
                        .target = {nullptr, width, false, nullptr}};
      for_each_tile<T>(num_col_rows(s_), [&](std::int64_t col_row, int variant) {
        // A tile prefetches what its next rows would read: here as many of the next pixels.
        const std::int64_t next = first + kernel.nr() + std::min<std::int64_t>(col_row, kernel.nr());
        for (int i = 0; i < kernel.mr_variants[variant]; ++i) {
          rows[i] = weights_[col_row + i];
          rows[kernel.mr_variants[variant] + i] = x_ + std::min(next + i, last_pixel) * k_blocks_;
        }
        tile.a = rows.data();
        tile.target.rows = targets_.data() + col_row;
        kernel.igemm[num_vectors - 1][variant](tile);
      });
    }
  }

  const Conv2DSizes& s_;
  std::int64_t k_blocks_;
  const T* x_;
  std::int64_t leading_dim_;
  Range held_{0, 0};
  std::vector<const T*> weights_;
  std::vector<acc_t<T>*> targets_;
  acc_t<T>* col_ = nullptr;
  T* panel_ = nullptr;
};

/// The kernel columns of one column residue of the output, as rows of col, with their shifts in strides.
struct ColumnSubkernel {
  std::vector<std::int64_t> columns, shifts;
};

/// col2im of one row of outputs.
template <class T>
class Col2im {
 public:
  Col2im(const Conv2DSizes& s, const AxisTaps& down, std::int64_t ld, const T* bias)
      : s_(s),
        down_(down),
        ld_(ld),
        bias_(bias),
        count_(ceil_div(s.ow + s.pw, s.sw)),
        whole_{std::min(ceil_div(s.pw, s.sw), count_), (s.ow + s.pw) / s.sw},
        sums_ld_(padded_leading_dim<T>(count_ + kMaxNr)),
        subkernels_(s.sw) {
    whole_.last = std::max(whole_.first, whole_.last);
    for (std::int64_t j = 0; j < s.kw; ++j) {
      ColumnSubkernel& residue = subkernels_[j * s.dw % s.sw];
      residue.columns.push_back(j * ld);
      residue.shifts.push_back(j * s.dw / s.sw);
    }
    sums_.resize(s.sw * s.o * sums_ld_);
    for (std::int64_t line = 0; line < s.sw * s.o; ++line) {
      whole_lines_.push_back(sums_.data() + line * sums_ld_ + whole_.first);
    }
  }

  /// row(h) is where the first row of col holds an input row of the same image.
  template <class Row>
  void write(std::int64_t oh, const Row& row, T* y) {
    rows_.clear();
    for (const auto& [h, i] : down_.of(oh)) rows_.push_back(row(h) + i * s_.kw * ld_);
    for (std::int64_t o = 0; o < s_.o; ++o) {
      for (std::int64_t residue = 0; residue < s_.sw; ++residue) sum(residue, o);
      for (const T*& own : rows_) own += s_.taps() * ld_;
    }
    for (std::int64_t q = s_.pw / s_.sw; q < whole_.first; ++q) write_part(q, y);
    for (std::int64_t q = whole_.last; q < count_; ++q) write_part(q, y);
    kernels<T>().transpose(whole_lines_.data(), s_.sw * s_.o, whole_.size(), y + (whole_.first * s_.sw - s_.pw) * s_.o,
                           s_.sw * s_.o);
  }

 private:
  void sum(std::int64_t residue, std::int64_t o) {
    const ColumnSubkernel& columns = subkernels_[residue];
    const Col2imRows<T> col_rows{
        rows_.data(),          static_cast<std::int64_t>(rows_.size()),           columns.columns.data(),
        columns.shifts.data(), static_cast<std::int64_t>(columns.columns.size()), s_.w};
    kernels<T>().col2im_row(col_rows, bias_ ? bias_[o] : T{0}, count_, sums_.data() + (residue * s_.o + o) * sums_ld_);
  }

  void write_part(std::int64_t q, T* y) {
    for (std::int64_t residue = 0; residue < s_.sw; ++residue) {
      const std::int64_t column = q * s_.sw + residue - s_.pw;
      if (column < 0 || column >= s_.ow) continue;
      for (std::int64_t o = 0; o < s_.o; ++o) y[column * s_.o + o] = sums_[(residue * s_.o + o) * sums_ld_ + q];
    }
  }

  const Conv2DSizes& s_;
  const AxisTaps& down_;
  std::int64_t ld_;
  const T* bias_;
  std::int64_t count_;  ///< strides that a row touches
  Range whole_;         ///< those that lie inside it, all but a part of the first and the last one
  std::int64_t sums_ld_;
  std::vector<ColumnSubkernel> subkernels_;
  std::vector<T> sums_;
  std::vector<const T*> rows_, whole_lines_;
};

class GemmCol2im final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;
  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const auto count = [](std::int64_t number) { return static_cast<double>(number); };
    const std::int64_t lanes = precision().lanes(problem.dtype), columns = ceil_div(s.ow + s.pw, s.sw);
    constexpr double kStart = 30;  // loads and stores of a tile, in channels
    const double multiply_adds =
        count(s.n * s.h * s.w) * count(ceil_div(num_col_rows(s), 2) * 2) * (count(s.c) + kStart);
    const double transposed = count(s.n * s.h * s.w) * count(s.c);
    const double sums = count(s.n * s.oh) * count(s.sw * s.o), vectors = count(ceil_div(columns, lanes));
    const double terms = sums * vectors * count(s.taps()) / count(s.sh * s.sw);
    const double written = count(s.n * s.oh) * vectors * count(ceil_div(s.sw * s.o, lanes));
    // Rows that the next block needs again are moved to the front.
    const std::int64_t fit = ColBuffer<float>::rows_that_fit(s), again = ColBuffer<float>::rows_needed(s) - 1;
    const double moved =
        count(s.n * s.h * s.w) * count(num_col_rows(s) * size_of(problem.dtype)) * count(again) / count(fit - again);
    constexpr double kCall = 1.4e-6, kWeight = cost::kReorders * 0.5e-9;  // seconds each
    constexpr double kTranspose = 0.18e-9, kSum = 17e-9, kTerm = 0.3e-9, kWritten = 14e-9;
    const double shared = 2 * multiply_adds / (0.8 * precision().flop_rate(problem.dtype, s.c)) +
                          kTranspose * transposed + kSum * sums + kTerm * terms + kWritten * written +
                          moved / cost::kBandwidth;
    const double alone = kCall + kWeight * count(num_elements(s.w_shape())) +
                         cost::seconds(shared, cost::bytes(s, problem.dtype) / cost::kBandwidth, num_native_chunks(s));
    return precision().with_conversion(alone, num_elements(s.x_shape()), s.c);
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& w,
                     const Epilogue& epilogue) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, x, w, epilogue); });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override {
    constexpr std::int64_t kMaxResidues = 256;  // of which a row of sums is held each
    return precision().supports(problem) && problem.conv->groups == 1 && problem.conv->stride[1] <= kMaxResidues;
  }

 private:
  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const auto weights = prepacked_weights<T>(*this, s, w, num_col_rows(s) * num_packed<T>(s.c),
                                              [&](const scalar_t<T>* from, T* to) { pack(s, from, to); });
    const Tensor image = pack_channels<T>(x, s.groups);
    const Tensor y = Tensor::empty(s.y_shape(), problem.dtype, MemoryFormat::channels_last);
    const Tensor bias = epilogue.bias.defined() ? kernel::contiguous(epilogue.bias) : Tensor();

    const AxisTaps down = conv2d_transpose_taps(s.oh, s.h, s.kh, s.sh, s.ph, s.dh);
    const Range all_rows{0, s.n * s.oh};
    const std::int64_t chunks = std::min(num_native_chunks(s), all_rows.size());
    const Workspace<acc_t<T>> memory(chunks, ColBuffer<T>::col_size(s));
    const Workspace<T> panels(chunks, ColBuffer<T>::panel_size(s));
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      ColBuffer<T> col(s, image.data<T>(), weights->data.template data<T>());
      col.use(memory.of_chunk(chunk), panels.of_chunk(chunk));
      Col2im<acc_t<T>> sums(s, down, col.leading_dim(), bias.defined() ? bias.data<acc_t<T>>() : nullptr);
      const Range own = part_of(all_rows, chunk, chunks);
      const std::int64_t fit = ColBuffer<T>::rows_that_fit(s);
      for (Range block{own.first, own.first}; block.first < own.last; block.first = block.last) {
        Range inputs{0, 0};
        for (; block.last < own.last; ++block.last) {
          const Range more = with_rows_of(inputs, s, down, block.last);
          if (more.size() > fit) break;
          inputs = more;
        }
        col.hold(inputs);
        const std::int64_t row_size = s.ow * s.o;
        acc_t<T>* const rows = y.mutable_data<acc_t<T>>() + block.first * row_size;
        for (std::int64_t row = block.first; row < block.last; ++row) {
          const std::int64_t image_row = row / s.oh * s.h;
          sums.write(
              row % s.oh, [&](std::int64_t h) { return col.row(image_row + h); },
              rows + (row - block.first) * row_size);
        }
        kernel::activate(epilogue.activation, rows, block.size() * row_size);
      }
    });
    return y;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_gemm_col2im(const AlgorithmKey& key) { return std::make_unique<GemmCol2im>(key); }

}  // namespace dygrad::native
