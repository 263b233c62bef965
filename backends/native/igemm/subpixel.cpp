// fwd: the transposed convolution as subconvolutions. Outputs of one residue modulo the stride see the same taps, a
// sub-kernel, so they are an ordinary convolution of stride 1, written at every stride-th place. Nothing is multiplied
// by an inserted zero.
//
// Sources: XNNPACK's subconv2d; Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
// arXiv:1609.07009, 2016.
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/bias_init.h>
#include <dygrad/backends/native/packing/prepacked.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

/// Where the outputs of all column residues are aligned, they are contiguous in memory: then their sub-kernels are
/// computed together, as more filters.
bool columns_together(const Conv2DSizes& s) {
  return s.groups == 1 && s.dw == 1 && s.kw % s.sw == 0 && s.pw % s.sw == 0 && s.ow % s.sw == 0;
}
std::int64_t gemm_n(const Conv2DSizes& s) { return columns_together(s) ? s.sw * s.o : s.filters_in_group(); }

/// Sub-kernels along both axes, those of columns counted once where they are computed together.
std::int64_t row_subkernels(const Conv2DSizes& s) { return std::min(s.sh, s.oh); }
std::int64_t column_subkernels(const Conv2DSizes& s) { return columns_together(s) ? 1 : std::min(s.sw, s.ow); }

/// One group of one subconvolution: its geometry, where its packed weights lie, and where its outputs go.
struct Subproblem {
  Subconvolution conv;
  std::int64_t group;
  std::int64_t panels_offset;
  std::int64_t output_offset;
};

/// Those of the first `groups` groups.
template <class T>
std::vector<Subproblem> subproblems(const Conv2DSizes& s, std::int64_t groups, std::int64_t& panels_total) {
  std::vector<Subproblem> all;
  panels_total = 0;
  const std::int64_t og = s.filters_in_group();
  Conv2DSizes packed_sizes = s;
  packed_sizes.c = s.groups * num_packed<T>(s.channels_in_group());
  const std::int64_t rows = row_subkernels(s), columns = column_subkernels(s);
  const std::vector<SubkernelTaps> down = subkernel_taps(rows, s.kh, s.sh, s.ph, s.dh);
  const std::vector<SubkernelTaps> right = subkernel_taps(columns, s.kw, s.sw, s.pw, s.dw);
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        Subproblem sub{subconvolution_of(packed_sizes, group, row, column, down[row], right[column]), group,
                       panels_total, (row * s.ow + column) * s.o + group * og};
        panels_total += panels_size<T>(sub.conv.geometry.depth(), gemm_n(s));
        all.push_back(std::move(sub));
      }
    }
  }
  return all;
}

template <class T>
void pack(const Conv2DSizes& s, const Subproblem& sub, const scalar_t<T>* weights, T* panels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  const std::int64_t k_blocks = num_packed<T>(cg), channel = og * s.taps();
  std::vector<PanelRow> rows;
  std::vector<std::int64_t> column_offsets;
  for (std::int64_t c = 0; c < cg; c += kVnniBlock<T>) {
    std::int64_t tap = 0;
    for (const std::int64_t i : sub.conv.kernel_rows) {
      for (const std::int64_t j : sub.conv.kernel_columns) {
        const std::int64_t offset = c * channel + i * s.kw + j;
        rows.push_back({tap++ * k_blocks + c / kVnniBlock<T>, offset, c + 1 < cg ? offset + channel : kZero});
      }
    }
  }
  for (std::int64_t column = 0; column < gemm_n(s) / og; ++column) {
    for (std::int64_t o = 0; o < og; ++o) column_offsets.push_back(o * s.taps() + column);
  }
  pack_panels(weights + sub.group * cg * og * s.taps(), rows, column_offsets, panels + sub.panels_offset);
}

class Subpixel final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const WorkCounts counts = dispatch(problem, [&]<class T>() { return work_counts<T>(s); });
    const double rate = precision().flop_rate(problem.dtype, s.channels_in_group());
    const double alone = counts.seconds(s, problem.dtype, rate);
    return precision().with_conversion(alone, num_elements(s.x_shape()), s.channels_in_group());
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& w,
                     const Epilogue& epilogue) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, x, w, epilogue); });
  }

 private:
  /// Groups do the same work.
  template <class T>
  static WorkCounts work_counts(const Conv2DSizes& s) {
    std::int64_t panels_total = 0;
    WorkCounts counts;
    for (const Subproblem& sub : subproblems<T>(s, 1, panels_total)) {
      ImplicitGemmPlan<T>(sub.conv.geometry, 1, true).count(gemm_n(s), counts);
      counts.add_packed<T>(sub.conv.geometry.depth(), gemm_n(s));
    }
    return counts * static_cast<double>(s.groups);
  }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& w, const Epilogue& epilogue) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t og = s.filters_in_group();
    std::int64_t panels_total = 0, workspace_size = 0;
    const std::vector<Subproblem> subs = subproblems<T>(s, s.groups, panels_total);
    const PrepackedLayout layout{row_subkernels(s), column_subkernels(s), gemm_n(s)};
    const auto fill = [&](const scalar_t<T>* from, T* to) {
      for (const Subproblem& sub : subs) pack(s, sub, from, to);
    };
    const auto weights = prepacked_weights<T>(*this, s, w, panels_total, fill, layout);
    const std::int64_t chunks = num_native_chunks(s);
    std::vector<ImplicitGemmPlan<T>> plans;
    for (const Subproblem& sub : subs) {
      plans.emplace_back(sub.conv.geometry, chunks, weights->magnitude.is_finite());
      workspace_size = std::max(workspace_size, plans.back().workspace_size());
    }

    const Tensor image = pack_channels<T>(x, s.groups);
    const Tensor y = Tensor::empty(s.y_shape(), problem.dtype, MemoryFormat::channels_last);
    const BiasInit<acc_t<T>> init(epilogue.bias, s.groups, og, gemm_n(s) / og);
    const Workspace<T> buffers(chunks, workspace_size);
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      for (std::size_t i = 0; i < subs.size(); ++i) {
        const Panels<T> panels{plans[i].geometry().depth(), gemm_n(s),
                               weights->data.template data<T>() + subs[i].panels_offset};
        const OutputView<acc_t<T>> output{y.mutable_data<acc_t<T>>() + subs[i].output_offset, s.oh * s.ow * s.o,
                                          s.sh * s.ow * s.o, s.sw * s.o};
        plans[i].convolve(image.data<T>(), panels, init.of_group(subs[i].group), output, {chunk, chunks},
                          buffers.of_chunk(chunk), epilogue.activation);
      }
    });
    return y;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_subpixel(const AlgorithmKey& key) { return std::make_unique<Subpixel>(key); }

}  // namespace dygrad::native
