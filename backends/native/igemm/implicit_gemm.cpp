// bwd_data: the ordinary convolution, as an implicit GEMM of patches of y with weights.
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/bias_init.h>
#include <dygrad/backends/native/packing/prepacked.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

template <class T>
void pack(const Conv2DSizes& s, const scalar_t<T>* weights, T* panels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), k_blocks = num_packed<T>(og);
  std::vector<PanelRow> rows;
  std::vector<std::int64_t> column_offsets;
  for (std::int64_t o = 0; o < og; o += kVnniBlock<T>) {
    for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
      rows.push_back(
          {tap * k_blocks + o / kVnniBlock<T>, o * s.taps() + tap, o + 1 < og ? (o + 1) * s.taps() + tap : kZero});
    }
  }
  for (std::int64_t c = 0; c < cg; ++c) column_offsets.push_back(c * og * s.taps());
  for (std::int64_t group = 0; group < s.groups; ++group) {
    pack_panels(weights + group * cg * og * s.taps(), rows, column_offsets,
                panels + group * panels_size<T>(k_blocks * s.taps(), cg));
  }
}

class ImplicitGemm final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const WorkCounts counts = dispatch(problem, [&]<class T>() { return work_counts<T>(s); });
    const double rate = precision().flop_rate(problem.dtype, s.filters_in_group());
    const double alone = counts.seconds(s, problem.dtype, rate);
    return precision().with_conversion(alone, num_elements(s.y_shape()), s.filters_in_group());
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& g, const Tensor& w,
                     const Epilogue& epilogue) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, g, w, epilogue); });
  }

 private:
  /// Groups do the same work.
  template <class T>
  static WorkCounts work_counts(Conv2DSizes s) {
    const std::int64_t cg = s.channels_in_group(), depth = num_packed<T>(s.filters_in_group()) * s.taps();
    s.o = s.groups * num_packed<T>(s.filters_in_group());
    WorkCounts counts;
    ImplicitGemmPlan<T>(conv2d_geometry(s, 0), 1, true).count(cg, counts);
    counts.add_packed<T>(depth, cg);
    return counts * static_cast<double>(s.groups);
  }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& g, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t cg = s.channels_in_group(), depth = num_packed<T>(s.filters_in_group()) * s.taps();
    const std::int64_t group_size = panels_size<T>(depth, cg);
    const auto weights = prepacked_weights<T>(*this, s, w, s.groups * group_size,
                                              [&](const scalar_t<T>* from, T* to) { pack(s, from, to); });

    const Tensor image = pack_channels<T>(g, s.groups);
    const Tensor x = Tensor::empty(s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const BiasInit<acc_t<T>> init(epilogue.bias, s.groups, cg);
    const std::int64_t chunks = num_native_chunks(s);
    Conv2DSizes packed_sizes = s;
    packed_sizes.o = s.groups * num_packed<T>(s.filters_in_group());
    std::vector<ImplicitGemmPlan<T>> plans;
    for (std::int64_t group = 0; group < s.groups; ++group)
      plans.emplace_back(conv2d_geometry(packed_sizes, group), chunks, weights->magnitude.is_finite());
    const Workspace<T> buffers(chunks, plans[0].workspace_size());
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      for (std::int64_t group = 0; group < s.groups; ++group) {
        const Panels<T> panels{depth, cg, weights->data.template data<T>() + group * group_size};
        const OutputView<acc_t<T>> output{x.mutable_data<acc_t<T>>() + group * cg, s.h * s.w * s.c, s.w * s.c, s.c};
        plans[group].convolve(image.data<T>(), panels, init.of_group(group), output, {chunk, chunks},
                              buffers.of_chunk(chunk), epilogue.activation);
      }
    });
    return x;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_implicit_gemm(const AlgorithmKey& key) { return std::make_unique<ImplicitGemm>(key); }

}  // namespace dygrad::native
