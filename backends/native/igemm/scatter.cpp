// The transposed convolution from the input's side: every input pixel is multiplied by all numbers of the kernel, then
// output pixels sum what reaches them. Where filters are few they fill no vector; here vectors run along pixels, so it
// does not matter how many there are, and the sums are those of shifted rows.
//
// Note [Planes]
//   x        [pixel][channel]            turned round, a few pixels at a time:  [channel][pixel]
//   planes   [filter, tap][input pixel]  = weights [filter, tap][channel] * [channel][pixel]
//   sums     [column phase, filter][q]   = planes of a filter, row upon row, shifted by whole strides
//   y        [q][column phase, filter]     turned back: one row of an output image
// Column `c` of an output row is q * stride + phase - padding. What lies between x and y stays in the cache; rows of
// the planes are kept until no later output row needs them.
#include <array>
#include <type_traits>

#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/axis_terms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/packing/precision.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

template <class T>
void transpose(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step) {
  using Word = std::conditional_t<std::is_same_v<T, Bf16Pair>, float, T>;  // of the same size
  kernels<Word>().transpose(reinterpret_cast<const Word* const*>(lines), num_lines, count, reinterpret_cast<Word*>(to),
                            step);
}

std::int64_t num_planes(const Conv2DSizes& s) { return s.o * s.taps(); }

/// Weights [channel][filter, tap] as [filter, tap][channel].
template <class T>
void pack(const Conv2DSizes& s, const Number<T>* weights, T* packed) {
  const std::int64_t planes = num_planes(s), elements = elements_for<T>(s.c);
  if constexpr (kFactors<T> == 1) {
    std::vector<const T*> lines;
    for (std::int64_t c = 0; c < s.c; ++c) lines.push_back(weights + c * planes);
    transpose(lines.data(), s.c, planes, packed, elements);
  } else {
    for (std::int64_t c = 0; c < s.c; c += kFactors<T>) {
      for (std::int64_t plane = 0; plane < planes; ++plane) {
        const std::uint32_t second = c + 1 < s.c ? weights[(c + 1) * planes + plane] : 0;
        packed[plane * elements + c / kFactors<T>] = Bf16Pair{weights[c * planes + plane] | second << 16};
      }
    }
  }
}

/// Rows of the input, counted through the batch, that these rows and one more of the output need.
Range with_rows_of(Range inputs, const Conv2DSizes& s, const AxisTerms& down, std::int64_t output) {
  const auto terms = down.of(output % s.oh);
  if (terms.empty()) return inputs;
  const std::int64_t image = output / s.oh * s.h, last = image + terms.front().operand + 1;
  const std::int64_t first = image + terms.back().operand;
  return inputs.size() == 0 ? Range{first, last} : Range{std::min(inputs.first, first), std::max(inputs.last, last)};
}

/// Some rows of the input times the whole kernel.
template <class T>
class Planes {
 public:
  Planes(const Conv2DSizes& s, const T* x, const T* weights)
      : s_(s), elements_(elements_for<T>(s.c)), x_(x), step_(step(s)) {
    for (std::int64_t plane = 0; plane < num_planes(s); ++plane) {
      weights_.push_back(weights + plane * elements_);
    }
    targets_.resize(weights_.size());
  }

  /// Input rows held at the same time: all that one row of the output needs, and more where they are small.
  static std::int64_t rows_that_fit(const Conv2DSizes& s) {
    constexpr std::int64_t kPlanesBytes = 256 << 10;
    const std::int64_t row_bytes = num_planes(s) * s.w * static_cast<std::int64_t>(sizeof(Sum<T>));
    return std::clamp(kPlanesBytes / row_bytes, rows_needed(s), std::max(rows_needed(s), s.n * s.h));
  }
  /// Those of one row of the output.
  static std::int64_t rows_needed(const Conv2DSizes& s) { return std::min((s.kh - 1) * s.dh / s.sh + 1, s.h); }
  static std::int64_t planes_size(const Conv2DSizes& s) { return num_planes(s) * step(s) + 2 * kMaxPanel; }
  static std::int64_t panel_size(const Conv2DSizes& s) { return elements_for<T>(s.c) * kMaxPanel; }

  void use(Sum<T>* planes, T* panel) {
    planes_ = planes + kMaxPanel;
    panel_ = panel;
  }

  /// Makes the rows `wanted`; keeps those of the last call that are among them.
  void hold(Range wanted) {
    const bool overlap = held_.first <= wanted.first && wanted.first < held_.last;  // with dilation, rows may step back
    const Range kept{wanted.first, overlap ? std::min(held_.last, wanted.last) : wanted.first};
    const std::int64_t numbers = kept.size() * s_.w;
    if (kept.first > held_.first && numbers > 0) {
      for (std::int64_t plane = 0; plane < num_planes(s_); ++plane) {
        const Sum<T>* from = planes_ + plane * step_ + (kept.first - held_.first) * s_.w;
        std::copy_n(from, numbers, planes_ + plane * step_);
      }
    }
    held_ = wanted;
    multiply({kept.last * s_.w, wanted.last * s_.w});
  }

  const Sum<T>* row(std::int64_t input_row) const { return planes_ + (input_row - held_.first) * s_.w; }
  std::int64_t step() const { return step_; }

 private:
  /// From one plane to the next: a block of rows, and room for whole vectors.
  static std::int64_t step(const Conv2DSizes& s) { return odd_lines<Sum<T>>(rows_that_fit(s) * s.w + kMaxPanel); }

  /// Multiplies these pixels of the input.
  void multiply(Range pixels) {
    const Kernels<Sum<T>>& vectors = kernels<Sum<T>>();
    const TileKernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kStart = 0;
    std::array<const T*, kMaxPanel> lines{};
    const std::int64_t last_pixel = s_.n * s_.h * s_.w - 1;
    std::array<const T*, 2 * kMaxRows> rows{};
    for (std::int64_t first = pixels.first; first < pixels.last; first += kernel.panel()) {
      const std::int64_t count = std::min<std::int64_t>(kernel.panel(), pixels.last - first);
      const int num_vectors = count > vectors.lanes ? 2 : 1;
      const std::int64_t width = num_vectors * vectors.lanes;
      for (std::int64_t i = 0; i < width; ++i) lines[i] = x_ + (first + std::min(i, count - 1)) * elements_;
      transpose(lines.data(), width, elements_, panel_, width);
      Sum<T>* const to = planes_ + first - held_.first * s_.w;
      for (std::int64_t plane = 0; plane < num_planes(s_); ++plane) targets_[plane] = to + plane * step_;
      ProductTile<T> tile{.a = nullptr,
                          .b = panel_,
                          .b_step = width,
                          .a_offsets = &kStart,
                          .b_rows = &kStart,
                          .segments = 1,
                          .depth = elements_,
                          .target = {nullptr, width, false, nullptr}};
      for_each_tile<T>(num_planes(s_), [&](std::int64_t plane, int height) {
        // A tile asks for what the next rows of its kind would read: here for as many of the next pixels.
        const std::int64_t next = first + kernel.panel() + std::min<std::int64_t>(plane, kernel.panel());
        for (int i = 0; i < kernel.heights[height]; ++i) {
          rows[i] = weights_[plane + i];
          rows[kernel.heights[height] + i] = x_ + std::min(next + i, last_pixel) * elements_;
        }
        tile.a = rows.data();
        tile.target.rows = targets_.data() + plane;
        kernel.product[num_vectors - 1][height](tile);
      });
    }
  }

  const Conv2DSizes& s_;
  std::int64_t elements_;
  const T* x_;
  std::int64_t step_;
  Range held_{0, 0};
  std::vector<const T*> weights_;
  std::vector<Sum<T>*> targets_;
  Sum<T>* planes_ = nullptr;
  T* panel_ = nullptr;
};

/// The kernel columns that reach one column phase of the output, with the strides between the pixels.
struct ColumnPhase {
  std::vector<std::int64_t> columns, shifts;
};

/// Sums one row of outputs.
template <class T>
class RowOfSums {
 public:
  RowOfSums(const Conv2DSizes& s, const AxisTerms& down, std::int64_t plane_step, const T* bias)
      : s_(s),
        down_(down),
        plane_step_(plane_step),
        bias_(bias),
        count_(ceil_div(s.ow + s.pw, s.sw)),
        whole_{std::min(ceil_div(s.pw, s.sw), count_), (s.ow + s.pw) / s.sw},
        line_step_(odd_lines<T>(count_ + kMaxPanel)),
        phases_(s.sw) {
    whole_.last = std::max(whole_.first, whole_.last);
    for (std::int64_t j = 0; j < s.kw; ++j) {
      ColumnPhase& phase = phases_[j * s.dw % s.sw];
      phase.columns.push_back(j * plane_step);
      phase.shifts.push_back(j * s.dw / s.sw);
    }
    sums_.resize(s.sw * s.o * line_step_);
    for (std::int64_t line = 0; line < s.sw * s.o; ++line) {
      whole_lines_.push_back(sums_.data() + line * line_step_ + whole_.first);
    }
  }

  /// row(h) is the first plane's row of an input row of the same image.
  template <class Row>
  void write(std::int64_t oh, const Row& row, T* y) {
    rows_.clear();
    for (const auto& [h, i] : down_.of(oh)) rows_.push_back(row(h) + i * s_.kw * plane_step_);
    for (std::int64_t o = 0; o < s_.o; ++o) {
      for (std::int64_t phase = 0; phase < s_.sw; ++phase) sum(phase, o);
      for (const T*& own : rows_) own += s_.taps() * plane_step_;
    }
    for (std::int64_t q = s_.pw / s_.sw; q < whole_.first; ++q) write_part(q, y);
    for (std::int64_t q = whole_.last; q < count_; ++q) write_part(q, y);
    kernels<T>().transpose(whole_lines_.data(), s_.sw * s_.o, whole_.size(), y + (whole_.first * s_.sw - s_.pw) * s_.o,
                           s_.sw * s_.o);
  }

 private:
  void sum(std::int64_t phase, std::int64_t o) {
    const ColumnPhase& columns = phases_[phase];
    const ShiftedRows<T> shifted{
        rows_.data(),          static_cast<std::int64_t>(rows_.size()),           columns.columns.data(),
        columns.shifts.data(), static_cast<std::int64_t>(columns.columns.size()), s_.w};
    kernels<T>().sum_shifted(shifted, bias_ ? bias_[o] : T{0}, count_, sums_.data() + (phase * s_.o + o) * line_step_);
  }

  void write_part(std::int64_t q, T* y) {
    for (std::int64_t phase = 0; phase < s_.sw; ++phase) {
      const std::int64_t column = q * s_.sw + phase - s_.pw;
      if (column < 0 || column >= s_.ow) continue;
      for (std::int64_t o = 0; o < s_.o; ++o) y[column * s_.o + o] = sums_[(phase * s_.o + o) * line_step_ + q];
    }
  }

  const Conv2DSizes& s_;
  const AxisTerms& down_;
  std::int64_t plane_step_;
  const T* bias_;
  std::int64_t count_;  ///< strides that a row touches
  Range whole_;         ///< those that lie inside it, all but a part of the first and the last one
  std::int64_t line_step_;
  std::vector<ColumnPhase> phases_;
  std::vector<T> sums_;
  std::vector<const T*> rows_, whole_lines_;
};

class Scatter final : public SplitK {
 public:
  Scatter(std::string_view name, MathMode math_mode) : name_(name), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    constexpr std::int64_t kMostPhases = 256;  // of which a row of sums is held each
    return problem.kind == Problem::Kind::conv2d_transpose && precision_.takes(problem) && problem.conv->groups == 1 &&
           problem.conv->stride[1] <= kMostPhases;
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const auto count = [](std::int64_t number) { return static_cast<double>(number); };
    const std::int64_t lanes = precision_.lanes(problem.dtype), columns = ceil_div(s.ow + s.pw, s.sw);
    constexpr double kStart = 30;  // what starting and storing a tile costs, in channels
    const double products = count(s.n * s.h * s.w) * count(ceil_div(num_planes(s), 2) * 2) * (count(s.c) + kStart);
    const double turned = count(s.n * s.h * s.w) * count(s.c);
    const double sums = count(s.n * s.oh) * count(s.sw * s.o), vectors = count(ceil_div(columns, lanes));
    const double terms = sums * vectors * count(s.taps()) / count(s.sh * s.sw);
    const double written = count(s.n * s.oh) * vectors * count(ceil_div(s.sw * s.o, lanes));
    // Rows that the next block needs again are moved to the front.
    const std::int64_t fit = Planes<float>::rows_that_fit(s), again = Planes<float>::rows_needed(s) - 1;
    const double moved =
        count(s.n * s.h * s.w) * count(num_planes(s) * size_of(problem.dtype)) * count(again) / count(fit - again);
    constexpr double kCall = 1.4e-6, kWeight = cost::kConversions * 0.5e-9;  // seconds each
    constexpr double kTurn = 0.18e-9, kSum = 17e-9, kTerm = 0.3e-9, kWritten = 14e-9;
    const double shared = 2 * products / (0.8 * precision_.product_rate(problem.dtype, s.c)) + kTurn * turned +
                          kSum * sums + kTerm * terms + kWritten * written + moved / cost::kBandwidth;
    const double alone = kCall + kWeight * count(num_elements(s.w_shape())) +
                         cost::seconds(shared, cost::bytes(s, problem.dtype) / cost::kBandwidth, num_native_pieces(s));
    return precision_.with_conversion(alone, num_elements(s.x_shape()), s.c);
  }

  Tensor run_whole(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, w, epilogue); });
  }

 private:
  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const auto weights = packed_weights<T>(*this, s, w, num_planes(s) * elements_for<T>(s.c),
                                           [&](const Number<T>* from, T* to) { pack(s, from, to); });
    const Tensor image = factors_of_channels<T>(x, s.groups);
    const Tensor y = Tensor::empty(s.y_shape(), problem.dtype, MemoryFormat::channels_last);
    const Tensor bias = epilogue.bias.defined() ? kernel::contiguous(epilogue.bias) : Tensor();

    const AxisTerms down = transposed_terms(s.oh, s.h, s.kh, s.sh, s.ph, s.dh);
    const Range all_rows{0, s.n * s.oh};
    const std::int64_t pieces = std::min(num_native_pieces(s), all_rows.size());
    const Scratch<Sum<T>> memory(pieces, Planes<T>::planes_size(s));
    const Scratch<T> panels(pieces, Planes<T>::panel_size(s));
    for_each_piece(pieces, [&](std::int64_t piece) {
      Planes<T> planes(s, image.data<T>(), weights->numbers.template data<T>());
      planes.use(memory.of_piece(piece), panels.of_piece(piece));
      RowOfSums<Sum<T>> sums(s, down, planes.step(), bias.defined() ? bias.data<Sum<T>>() : nullptr);
      const Range own = part_of(all_rows, piece, pieces);
      const std::int64_t fit = Planes<T>::rows_that_fit(s);
      for (Range block{own.first, own.first}; block.first < own.last; block.first = block.last) {
        Range inputs{0, 0};
        for (; block.last < own.last; ++block.last) {
          const Range more = with_rows_of(inputs, s, down, block.last);
          if (more.size() > fit) break;
          inputs = more;
        }
        planes.hold(inputs);
        const std::int64_t row_size = s.ow * s.o;
        Sum<T>* const rows = y.mutable_data<Sum<T>>() + block.first * row_size;
        for (std::int64_t row = block.first; row < block.last; ++row) {
          const std::int64_t image_row = row / s.oh * s.h;
          sums.write(
              row % s.oh, [&](std::int64_t h) { return planes.row(image_row + h); },
              rows + (row - block.first) * row_size);
        }
        kernel::activate(epilogue.activation, rows, block.size() * row_size);
      }
    });
    return y;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& scatter() {
  static const Scatter& instance = *new const Scatter("scatter", MathMode::standard);
  return instance;
}

const Algorithm& bf16_scatter() {
  static const Scatter& instance = *new const Scatter("bf16_scatter", MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
