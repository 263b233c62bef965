#include <dygrad/backends/common/magnitude.h>

#include <atomic>
#include <bit>

#include <dygrad/backends/common/prepacked_weights.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad {

namespace {

constexpr std::int64_t kGrain = 1 << 16;

/// Bits without the sign: they are ordered as absolute values are, with infinity and what is not a number on top.
template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
Bits<T> largest_bits(const T* x, std::int64_t count) {
  constexpr Bits<T> kNoSign = ~Bits<T>{0} >> 1;
  Bits<T> largest = 0;
  kernel::vectorize([&] {
    constexpr std::int64_t kTogether = 32;
    std::array<Bits<T>, kTogether> each{};
    std::int64_t i = 0;
    for (; i + kTogether <= count; i += kTogether) {
      for (std::int64_t j = 0; j < kTogether; ++j) {
        const Bits<T> bits = std::bit_cast<Bits<T>>(x[i + j]) & kNoSign;
        each[static_cast<std::size_t>(j)] = std::max(each[static_cast<std::size_t>(j)], bits);
      }
    }
    for (; i < count; ++i) each[0] = std::max(each[0], std::bit_cast<Bits<T>>(x[i]) & kNoSign);
    for (const Bits<T> bits : each) largest = std::max(largest, bits);
  });
  return largest;
}

template <class T>
double largest_of(const T* x, std::int64_t count) {
  std::atomic<Bits<T>> largest{0};
  parallel_for(count, kGrain, [&](std::int64_t first, std::int64_t last) {
    const Bits<T> own = largest_bits(x + first, last - first);
    Bits<T> seen = largest;
    while (seen < own && !largest.compare_exchange_weak(seen, own)) {
    }
  });
  const T value = std::bit_cast<T>(largest.load());
  return std::isfinite(value) ? static_cast<double>(value) : std::numeric_limits<double>::infinity();
}

struct KnownMagnitude final : Prepacked {
  Magnitude magnitude;
  bool is(const Prepacked& other) const override { return dynamic_cast<const KnownMagnitude*>(&other); }
};

/// Of a dense tensor of floats.
Magnitude magnitude_of(const Tensor& x) {
  return dispatch_float(x.dtype(), "magnitude", [&]<class T>() -> Magnitude {
    constexpr double kUpperQuartile = 0.75;
    const T* numbers = x.data<T>();
    return {largest_of(numbers, x.num_elements()),
            sampled_quantile(x.num_elements(), kUpperQuartile,
                             [&](std::int64_t i) { return std::abs(static_cast<double>(numbers[i])); })};
  });
}

}  // namespace

Magnitude magnitude_of_weights(const Tensor& w) {
  Ref<KnownMagnitude> known = make_ref<KnownMagnitude>();
  if (const Ref<Prepacked> found = find_prepacked(w, *known))
    return static_cast<const KnownMagnitude*>(found.get())->magnitude;
  known->magnitude = magnitude_of(kernel::contiguous(w));
  keep_small(w, known);
  return known->magnitude;
}

bool is_finite(const Tensor& x) {
  const Tensor dense = x.is_contiguous(MemoryFormat::channels_last) ? x : kernel::contiguous(x);
  return dispatch_float(dense.dtype(), "is_finite", [&]<class T>() {
    return largest_of(dense.data<T>(), dense.num_elements()) < std::numeric_limits<double>::infinity();
  });
}

}  // namespace dygrad
