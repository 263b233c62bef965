// The transposed convolution by phases: outputs that agree modulo the stride see the same taps of the kernel, so each
// such phase is an ordinary convolution of stride 1 with its own small kernel, written with gaps. No product with an
// inserted zero is ever made.
//
// Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009, 2016.
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/packing/precision.h>

namespace dygrad::native {

namespace {

/// Where phases are aligned with rows of the output, all phases of one row are one stretch of memory: then they are
/// computed together, as more filters.
bool columns_together(const Conv2DSizes& s) {
  return s.groups == 1 && s.dw == 1 && s.kw % s.sw == 0 && s.pw % s.sw == 0 && s.ow % s.sw == 0;
}
std::int64_t lanes_of_part(const Conv2DSizes& s) { return columns_together(s) ? s.sw * s.o : s.filters_in_group(); }

/// Phases along both axes, those of columns counted once where they are computed together.
std::int64_t row_phases(const Conv2DSizes& s) { return std::min(s.sh, s.oh); }
std::int64_t column_phases(const Conv2DSizes& s) { return columns_together(s) ? 1 : std::min(s.sw, s.ow); }

/// One group's share of one phase: its patches, its part of the packed weights, and where its outputs go.
struct Part {
  Phase phase;
  std::int64_t group;
  std::int64_t panels_offset;
  std::int64_t target_offset;
};

/// Those of the first `groups` groups.
template <class T>
std::vector<Part> parts_of(const Conv2DSizes& s, std::int64_t groups, std::int64_t& panels_total) {
  std::vector<Part> parts;
  panels_total = 0;
  const std::int64_t og = s.filters_in_group();
  Conv2DSizes in_elements = s;
  in_elements.c = s.groups * elements_for<T>(s.channels_in_group());
  const std::int64_t rows = row_phases(s), columns = column_phases(s);
  const std::vector<TapsOfPhase> down = taps_of_phases(rows, s.kh, s.sh, s.ph, s.dh);
  const std::vector<TapsOfPhase> right = taps_of_phases(columns, s.kw, s.sw, s.pw, s.dw);
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        Part part{phase_of_output(in_elements, group, row, column, down[row], right[column]), group, panels_total,
                  (row * s.ow + column) * s.o + group * og};
        panels_total += panels_size<T>(part.phase.grid.depth(), lanes_of_part(s));
        parts.push_back(std::move(part));
      }
    }
  }
  return parts;
}

template <class T>
void pack(const Conv2DSizes& s, const Part& part, const Number<T>* weights, T* panels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  const std::int64_t elements = elements_for<T>(cg), channel = og * s.taps();
  std::vector<PanelRow> rows;
  std::vector<std::int64_t> lanes;
  for (std::int64_t c = 0; c < cg; c += kFactors<T>) {
    std::int64_t tap = 0;
    for (const std::int64_t i : part.phase.kernel_rows) {
      for (const std::int64_t j : part.phase.kernel_columns) {
        const std::int64_t offset = c * channel + i * s.kw + j;
        rows.push_back({tap++ * elements + c / kFactors<T>, offset, c + 1 < cg ? offset + channel : kZero});
      }
    }
  }
  for (std::int64_t column = 0; column < lanes_of_part(s) / og; ++column) {
    for (std::int64_t o = 0; o < og; ++o) lanes.push_back(o * s.taps() + column);
  }
  pack_panels(weights + part.group * cg * og * s.taps(), rows, lanes, panels + part.panels_offset);
}

class Subpixel final : public SplitK {
 public:
  Subpixel(std::string_view name, MathMode math_mode) : name_(name), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::conv2d_transpose && precision_.takes(problem);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Steps steps = precision_.dispatch(problem.dtype, name(), [&]<class T>() { return steps_of<T>(s); });
    const double rate = precision_.product_rate(problem.dtype, s.channels_in_group());
    const double alone = steps.seconds(s, problem.dtype, rate);
    return precision_.with_conversion(alone, num_elements(s.x_shape()), s.channels_in_group());
  }

  Tensor run_whole(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, w, epilogue); });
  }

 private:
  /// Groups take the same steps.
  template <class T>
  static Steps steps_of(const Conv2DSizes& s) {
    std::int64_t panels_total = 0;
    Steps steps;
    for (const Part& part : parts_of<T>(s, 1, panels_total)) {
      PatchPlan<T>(part.phase.grid, 1, true).count(lanes_of_part(s), steps);
      steps.add_packed<T>(part.phase.grid.depth(), lanes_of_part(s));
    }
    return steps * static_cast<double>(s.groups);
  }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t og = s.filters_in_group();
    std::int64_t panels_total = 0, scratch = 0;
    const std::vector<Part> parts = parts_of<T>(s, s.groups, panels_total);
    const PackedLayout layout{row_phases(s), column_phases(s), lanes_of_part(s)};
    const auto fill = [&](const Number<T>* from, T* to) {
      for (const Part& part : parts) pack(s, part, from, to);
    };
    const auto weights = packed_weights<T>(*this, s, w, panels_total, fill, layout);
    const std::int64_t pieces = num_native_pieces(s);
    std::vector<PatchPlan<T>> plans;
    for (const Part& part : parts) {
      plans.emplace_back(part.phase.grid, pieces, weights->magnitude.is_finite());
      scratch = std::max(scratch, plans.back().scratch_size());
    }

    const Tensor image = factors_of_channels<T>(x, s.groups);
    const Tensor y = Tensor::empty(s.y_shape(), problem.dtype, MemoryFormat::channels_last);
    const InitialValues<Sum<T>> init(epilogue.bias, s.groups, og, lanes_of_part(s) / og);
    const Scratch<T> buffers(pieces, scratch);
    for_each_piece(pieces, [&](std::int64_t piece) {
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const Panels<T> panels{plans[i].grid().depth(), lanes_of_part(s),
                               weights->numbers.template data<T>() + parts[i].panels_offset};
        const Destination<Sum<T>> target{y.mutable_data<Sum<T>>() + parts[i].target_offset, s.oh * s.ow * s.o,
                                         s.sh * s.ow * s.o, s.sw * s.o};
        plans[i].convolve(image.data<T>(), panels, init.of_group(parts[i].group), target, {piece, pieces},
                          buffers.of_piece(piece), epilogue.activation);
      }
    });
    return y;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& subpixel() {
  static const Subpixel& instance = *new const Subpixel("subpixel", MathMode::standard);
  return instance;
}

const Algorithm& bf16_subpixel() {
  static const Subpixel& instance = *new const Subpixel("bf16_subpixel", MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
