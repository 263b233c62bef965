// The adjoint of the transposed convolution in its input is an ordinary convolution: patches of y times weights.
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/packing/precision.h>

namespace dygrad::native {

namespace {

template <class T>
void pack(const Conv2DSizes& s, const Number<T>* weights, T* panels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), elements = elements_for<T>(og);
  std::vector<PanelRow> rows;
  std::vector<std::int64_t> lanes;
  for (std::int64_t o = 0; o < og; o += kFactors<T>) {
    for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
      rows.push_back(
          {tap * elements + o / kFactors<T>, o * s.taps() + tap, o + 1 < og ? (o + 1) * s.taps() + tap : kZero});
    }
  }
  for (std::int64_t c = 0; c < cg; ++c) lanes.push_back(c * og * s.taps());
  for (std::int64_t group = 0; group < s.groups; ++group) {
    pack_panels(weights + group * cg * og * s.taps(), rows, lanes,
                panels + group * panels_size<T>(elements * s.taps(), cg));
  }
}

class Convolution final : public SplitK {
 public:
  Convolution(std::string_view name, MathMode math_mode) : name_(name), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::conv2d && precision_.takes(problem);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Steps steps = precision_.dispatch(problem.dtype, name(), [&]<class T>() { return steps_of<T>(s); });
    const double rate = precision_.product_rate(problem.dtype, s.filters_in_group());
    const double alone = steps.seconds(s, problem.dtype, rate);
    return precision_.with_conversion(alone, num_elements(s.y_shape()), s.filters_in_group());
  }

  Tensor run_whole(const Problem& problem, const Tensor& g, const Tensor& w, const Epilogue& epilogue) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, g, w, epilogue); });
  }

 private:
  /// Groups take the same steps.
  template <class T>
  static Steps steps_of(Conv2DSizes s) {
    const std::int64_t cg = s.channels_in_group(), depth = elements_for<T>(s.filters_in_group()) * s.taps();
    s.o = s.groups * elements_for<T>(s.filters_in_group());
    Steps steps;
    PatchPlan<T>(patches_of_output(s, 0), 1, true).count(cg, steps);
    steps.add_packed<T>(depth, cg);
    return steps * static_cast<double>(s.groups);
  }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& g, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t cg = s.channels_in_group(), depth = elements_for<T>(s.filters_in_group()) * s.taps();
    const std::int64_t group_size = panels_size<T>(depth, cg);
    const auto weights =
        packed_weights<T>(*this, s, w, s.groups * group_size, [&](const Number<T>* from, T* to) { pack(s, from, to); });

    const Tensor image = factors_of_channels<T>(g, s.groups);
    const Tensor x = Tensor::empty(s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const InitialValues<Sum<T>> init(epilogue.bias, s.groups, cg);
    const std::int64_t pieces = num_native_pieces(s);
    Conv2DSizes in_elements = s;
    in_elements.o = s.groups * elements_for<T>(s.filters_in_group());
    std::vector<PatchPlan<T>> plans;
    for (std::int64_t group = 0; group < s.groups; ++group)
      plans.emplace_back(patches_of_output(in_elements, group), pieces, weights->magnitude.is_finite());
    const Scratch<T> buffers(pieces, plans[0].scratch_size());
    for_each_piece(pieces, [&](std::int64_t piece) {
      for (std::int64_t group = 0; group < s.groups; ++group) {
        const Panels<T> panels{depth, cg, weights->numbers.template data<T>() + group * group_size};
        const Destination<Sum<T>> target{x.mutable_data<Sum<T>>() + group * cg, s.h * s.w * s.c, s.w * s.c, s.c};
        plans[group].convolve(image.data<T>(), panels, init.of_group(group), target, {piece, pieces},
                              buffers.of_piece(piece), epilogue.activation);
      }
    });
    return x;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& convolution() {
  static const Convolution& instance = *new const Convolution("convolution", MathMode::standard);
  return instance;
}

const Algorithm& bf16_convolution() {
  static const Convolution& instance = *new const Convolution("bf16_convolution", MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
