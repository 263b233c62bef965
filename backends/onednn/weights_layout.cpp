#include <dygrad/backends/onednn/weights_layout.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include <dygrad/core/base/parallel.h>

namespace dygrad::onednn {

namespace {

constexpr std::size_t kDims = 5;  // group, out, in, row, column

/// Dimensions in the order of plain memory, outermost first; those that a layout lacks have one index.
struct Walk {
  std::array<std::vector<std::int64_t>, kDims> plain, other;

  Walk(const dnnl::memory::desc& plain_desc, const WeightsLayout& layout) {
    const Blocking blocking = *blocking_of(plain_desc);
    const WeightsLayout plain_layout(blocking);
    std::vector<std::size_t> order(blocking.dims.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t d) { return blocking.strides[d]; });
    plain.fill({0}), other.fill({0});
    const std::size_t missing = kDims - order.size();
    for (std::size_t i = 0; i < order.size(); ++i) {
      plain[missing + i] = plain_layout.offsets()[order[i]];
      other[missing + i] = layout.offsets()[order[i]];
    }
  }

  /// Calls f(offset in plain memory, offset in the other) for every number, along plain memory.
  template <class F>
  void for_each(const F& f) const {
    constexpr std::int64_t kWorthAThread = 1 << 13;
    const auto size = [&](std::size_t d) { return static_cast<std::int64_t>(plain[d].size()); };
    const std::int64_t inner = size(2) * size(3) * size(4);
    parallel_for(size(0) * size(1), kWorthAThread / std::max<std::int64_t>(inner, 1) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t i = first; i < last; ++i) {
                     const auto a = static_cast<std::size_t>(i / size(1)), b = static_cast<std::size_t>(i % size(1));
                     walk_inner(plain[0][a] + plain[1][b], other[0][a] + other[1][b], f);
                   }
                 });
  }

 private:
  template <class F>
  void walk_inner(std::int64_t in_plain, std::int64_t in_other, const F& f) const {
    for (std::size_t c = 0; c < plain[2].size(); ++c) {
      for (std::size_t d = 0; d < plain[3].size(); ++d) {
        const std::int64_t from = in_plain + plain[2][c] + plain[3][d], to = in_other + other[2][c] + other[3][d];
        for (std::size_t e = 0; e < plain[4].size(); ++e) f(from + plain[4][e], to + other[4][e]);
      }
    }
  }
};

}  // namespace

WeightsLayout::WeightsLayout(const Blocking& blocking) : has_padding_(blocking.dims != blocking.padded_dims) {
  for (std::size_t d = 0; d < blocking.dims.size(); ++d) {
    std::vector<std::int64_t> offsets;
    for (std::int64_t i = 0; i < blocking.dims[d]; ++i) {
      std::int64_t offset = d == 0 ? blocking.first : 0, digits = i, stride = 1;
      for (std::size_t k = blocking.block_sizes.size(); k-- > 0;) {
        const std::int64_t size = blocking.block_sizes[k];
        if (blocking.block_dims[k] == static_cast<std::int64_t>(d)) {
          offset += digits % size * stride;
          digits /= size;
        }
        stride *= size;
      }
      offsets.push_back(offset + digits * blocking.strides[d]);
    }
    offsets_.push_back(std::move(offsets));
  }
}

void copy_from_plain(const dnnl::memory::desc& plain, const float* from, const dnnl::memory::desc& layout, float* to) {
  const WeightsLayout other(*blocking_of(layout));
  if (other.has_padding()) std::fill_n(to, layout.get_size() / sizeof(float), 0.0F);
  Walk(plain, other).for_each([&](std::int64_t in_plain, std::int64_t in_other) { to[in_other] = from[in_plain]; });
}

void copy_to_plain(const dnnl::memory::desc& layout, const float* from, const dnnl::memory::desc& plain, float* to) {
  const WeightsLayout other(*blocking_of(layout));
  Walk(plain, other).for_each([&](std::int64_t in_plain, std::int64_t in_other) { to[in_plain] = from[in_other]; });
}

}  // namespace dygrad::onednn
