#include <dygrad/backends/native/panels.h>

#include <algorithm>
#include <numeric>

#include <dygrad/core/parallel.h>

namespace dygrad::native {

namespace {

/// Element (k, lane) as the offsets tell.
template <class T>
inline T element(const Number<T>* source, const std::int64_t* depth_offsets, std::int64_t lane_offset) {
  const auto number = [&](std::int64_t offset) {
    return offset == kZero || lane_offset == kZero ? Number<T>{0} : source[offset + lane_offset];
  };
  if constexpr (kFactors<T> == 1) return number(*depth_offsets);
  else return Bf16Pair{number(depth_offsets[0]) | std::uint32_t{number(depth_offsets[1])} << 16};
}

}  // namespace

template <class T>
Panels<T> pack_panels(const Number<T>* source, const std::vector<std::int64_t>& depth_offsets,
                      const std::vector<std::int64_t>& lane_offsets, T* data) {
  const Panels<T> panels{static_cast<std::int64_t>(depth_offsets.size()) / kFactors<T>,
                         static_cast<std::int64_t>(lane_offsets.size()), data};
  // Row by row in the order of the source, so that each of its cache lines is read once while it is near.
  std::vector<std::int64_t> order(static_cast<std::size_t>(panels.depth));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) {
    return depth_offsets[i * kFactors<T>] < depth_offsets[j * kFactors<T>];
  });
  constexpr std::int64_t kWorthAThread = 1 << 14;
  const std::int64_t panel_size = std::max<std::int64_t>(1, panels.depth * kernels<T>().panel());
  parallel_for(panels.count(), kWorthAThread / panel_size + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      const std::int64_t* lane = lane_offsets.data() + p * kernels<T>().panel();
      const std::int64_t lanes = panels.lanes_of(p), width = panels.width_of(p);
      T* panel = data + p * kernels<T>().panel() * panels.depth;
      for (const std::int64_t k : order) {
        T* row = panel + k * width;
        const std::int64_t* offsets = depth_offsets.data() + k * kFactors<T>;
        for (std::int64_t j = 0; j < lanes; ++j) row[j] = element<T>(source, offsets, lane[j]);
        for (std::int64_t j = lanes; j < width; ++j) row[j] = T{0};
      }
    }
  });
  return panels;
}

template Panels<float> pack_panels(const float*, const std::vector<std::int64_t>&, const std::vector<std::int64_t>&,
                                   float*);
template Panels<Bf16Pair> pack_panels(const std::uint16_t*, const std::vector<std::int64_t>&,
                                      const std::vector<std::int64_t>&, Bf16Pair*);
template Panels<double> pack_panels(const double*, const std::vector<std::int64_t>&, const std::vector<std::int64_t>&,
                                    double*);

}  // namespace dygrad::native
