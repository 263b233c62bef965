// bwd_weights: the product of x, transposed, with the implicit im2row matrix of y, summed over all positions (K). Both
// are read in place, by rank-1 updates.
#include <vector>

#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/wgrad_accumulator.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

// Note [Work partition of bwd_weights]
// Groups are distributed first. Then positions (split-K): each thread has partial sums, which are added at the end in a
// fixed order; or, where there are so many that this would cost more than reading x once per thread, filters. At the
// end a thread transposes what lies in its own caches.
struct WgradPartition {
  std::int64_t groups, filters, positions;

  WgradPartition(const Conv2DSizes& s, std::int64_t chunks) {
    constexpr std::int64_t kManySums = 1 << 17;
    groups = largest_divisor(chunks, s.groups);
    const bool many = num_elements(s.w_shape()) > kManySums;
    filters = many ? largest_divisor(chunks / groups, std::max<std::int64_t>(s.filters_in_group() / kMaxNr, 1)) : 1;
    positions = chunks / groups / filters;
  }
  std::int64_t chunks() const { return groups * filters * positions; }

  /// What one thread computes.
  struct Chunk {
    std::int64_t filter_part, position_part;
    Range groups, filters;
  };
  Chunk chunk(const Conv2DSizes& s, std::int64_t chunk) const {
    const std::int64_t part = chunk / positions;
    return {part % filters, chunk % positions, part_of({0, s.groups}, part / filters, groups),
            part_of({0, s.filters_in_group()}, part % filters, filters)};
  }

 private:
  static std::int64_t largest_divisor(std::int64_t number, std::int64_t limit) {
    std::int64_t divisor = std::min(number, limit);
    while (number % divisor != 0) --divisor;
    return divisor;
  }
};

/// Adds the partial sums [C/G, taps, filters] of one group and writes them as [C/G, O/G, taps], for some channels.
template <class T>
void add_and_transpose(const Conv2DSizes& s, Range channels, Range filters, const std::vector<const T*>& parts,
                       T* weights) {
  const std::int64_t taps = s.taps(), columns = taps * filters.size(), ld = sums_ld<T>(columns);
  std::vector<T> added(static_cast<std::size_t>(parts.size() > 1 ? columns : 0));
  std::vector<const T*> rows(static_cast<std::size_t>(taps));
  for (std::int64_t c = channels.first; c < channels.last; ++c) {
    const T* from = parts[0] + c * ld;
    if (parts.size() > 1) {
      std::copy_n(from, columns, added.data());
      for (std::size_t part = 1; part < parts.size(); ++part) {
        const T* more = parts[part] + c * ld;
        for (std::int64_t i = 0; i < columns; ++i) added[static_cast<std::size_t>(i)] += more[i];
      }
      from = added.data();
    }
    for (std::int64_t tap = 0; tap < taps; ++tap) rows[static_cast<std::size_t>(tap)] = from + tap * filters.size();
    kernels<T>().transpose(rows.data(), taps, filters.size(),
                           weights + (c * s.filters_in_group() + filters.first) * taps, taps);
  }
}

class ImplicitGemmWeights final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const WorkCounts counts = dispatch(problem, [&]<class T>() { return work_counts<T>(s); });
    constexpr double kPeakShare = 0.7;  // both operands of every update are loaded through pointers
    const double rate = kPeakShare * precision().flop_rate(problem.dtype, s.n);
    const double alone = counts.seconds(s, problem.dtype, rate);
    return precision().with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 protected:
  SumLengths sum_lengths(const Problem&) const override { return kBlocked; }

 private:
  /// Groups do the same work.
  template <class T>
  static WorkCounts work_counts(Conv2DSizes s) {
    s.n = num_packed<T>(s.n);
    const Range filters{0, s.filters_in_group()};
    const WgradAccumulator<T> group(s, 0, filters, nullptr, nullptr, nullptr, false);
    WorkCounts counts;
    group.count(fits_in_place<T>(s, WgradPartition(s, 1)) ? PatchAccess::in_place : PatchAccess::packed, counts);
    return counts * static_cast<double>(s.groups);
  }

  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const WgradPartition partition(s, num_native_chunks(s));
    const Tensor pixels = pack_batch<T>(x), image = pack_batch<T>(g);
    s.n = num_packed<T>(s.n);
    const PatchAccess patches = fits_in_place<T>(s, partition) ? PatchAccess::in_place : PatchAccess::packed;
    const Tensor w = sums_of<T>(problem, s, partition, patches, pixels, image);
    if (patches == PatchAccess::in_place || is_finite(w)) return w;
    return sums_of<T>(problem, s, partition, PatchAccess::by_regions, pixels, image);
  }

  template <class T>
  static bool fits_in_place(const Conv2DSizes& s, const WgradPartition& partition) {
    bool fits = true;
    for (std::int64_t part = 0; part < partition.filters; ++part) {
      const Range filters = part_of({0, s.filters_in_group()}, part, partition.filters);
      fits = fits && WgradAccumulator<T>(s, 0, filters, nullptr, nullptr, nullptr, false).fits_in_place();
    }
    return fits;
  }

  template <class T>
  static Tensor sums_of(const Problem& problem, const Conv2DSizes& s, const WgradPartition& partition,
                        PatchAccess patches, const Tensor& pixels, const Tensor& image) {
    const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
    const std::int64_t n = s.taps() * ceil_div(og, partition.filters);
    const Workspace<acc_t<T>> sums(partition.filters * partition.positions, s.c * sums_ld<acc_t<T>>(n));
    const auto part_of_sums = [&](const WgradPartition::Chunk& own, std::int64_t position_part, std::int64_t group) {
      const std::int64_t step = sums_ld<acc_t<T>>(s.taps() * own.filters.size());
      return sums.of_chunk(own.filter_part * partition.positions + position_part) + group * cg * step;
    };
    const Workspace<T> buffers(patches == PatchAccess::in_place ? 0 : partition.chunks(),
                               WgradAccumulator<T>::kMaxPositions * WgradAccumulator<T>::packed_ld(n));
    parallel_for_chunks(partition.chunks(), [&](std::int64_t chunk) {
      const WgradPartition::Chunk own = partition.chunk(s, chunk);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        acc_t<T>* const to = part_of_sums(own, own.position_part, group);
        std::fill_n(to, cg * sums_ld<acc_t<T>>(s.taps() * own.filters.size()), acc_t<T>{0});
        WgradAccumulator<T> of_group(s, group, own.filters, pixels.data<T>(), image.data<T>(), to,
                                     sums_in_blocks(problem));
        const std::int64_t part = own.position_part, parts = partition.positions;
        if (patches == PatchAccess::in_place) of_group.add_in_place(part, parts);
        else if (patches == PatchAccess::packed) of_group.add_packed(part, parts, buffers.of_chunk(chunk));
        else of_group.add_by_regions(part, parts, buffers.of_chunk(chunk));
      }
    });

    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    acc_t<T>* const weights = w.mutable_data<acc_t<T>>();
    parallel_for_chunks(partition.chunks(), [&](std::int64_t chunk) {
      const WgradPartition::Chunk own = partition.chunk(s, chunk);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        std::vector<const acc_t<T>*> parts;
        for (std::int64_t part = 0; part < partition.positions; ++part) parts.push_back(part_of_sums(own, part, group));
        add_and_transpose(s, part_of({0, cg}, own.position_part, partition.positions), own.filters, parts,
                          weights + group * cg * og * s.taps());
      }
    });
    return w;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_implicit_gemm_weights(const AlgorithmKey& key) {
  return std::make_unique<ImplicitGemmWeights>(key);
}

}  // namespace dygrad::native
