#include <dygrad/backends/native/packing/bf16_packing.h>

#include <dygrad/backends/common/work.h>

namespace dygrad::native {

namespace {

constexpr std::int64_t kWorthAThread = 1 << 16;  // scalars

}  // namespace

template <>
Tensor pack_channels<Bf16Pair>(const Tensor& image, std::int64_t groups) {
  const Tensor plain = channels_last(image);
  const std::int64_t count = image.dim(1) / groups;
  const std::int64_t rows = image.num_elements() / count, blocks = num_packed<Bf16Pair>(count);
  const Tensor pairs = empty_packed<Bf16Pair>(rows * blocks);
  const float* from = plain.data<float>();
  auto* to = pairs.mutable_data<std::uint16_t>();
  const auto& round = kernels<Bf16Pair>().round;
  parallel_for(rows, kWorthAThread / count + 1, [&](std::int64_t first, std::int64_t last) {
    if (count == 2 * blocks) {  // all rows are contiguous
      round(from + first * count, (last - first) * count, to + first * count);
      return;
    }
    for (std::int64_t row = first; row < last; ++row) {
      std::uint16_t* const end = to + (row + 1) * 2 * blocks - 1;
      round(from + row * count, count, end - count);
      *end = 0;
    }
  });
  return pairs;
}

template <>
Tensor pack_batch<Bf16Pair>(const Tensor& image) {
  const Tensor plain = channels_last(image);
  const std::int64_t batch = image.dim(0), size = image.num_elements() / batch;
  const std::int64_t count = num_packed<Bf16Pair>(batch) * size;
  const Tensor pairs = empty_packed<Bf16Pair>(count);
  Tensor padding;
  if (batch % 2 != 0) {
    padding = Tensor::empty({size}, DType::float32);
    kernel::fill(padding, 0);
  }
  const float* from = plain.data<float>();
  Bf16Pair* to = pairs.mutable_data<Bf16Pair>();
  parallel_for(count, kWorthAThread, [&](std::int64_t first, std::int64_t last) {
    while (first < last) {
      const std::int64_t n = first / size * 2, i = first % size, length = std::min(last - first, size - i);
      const float* second = n + 1 < batch ? from + (n + 1) * size : padding.data<float>();
      kernels<Bf16Pair>().interleave(from + n * size + i, second + i, length, to + first);
      first += length;
    }
  });
  return pairs;
}

template <>
Tensor round_weights<Bf16Pair>(const Tensor& w) {
  const Tensor plain = row_major(w), rounded = empty_packed<Bf16Pair>(num_packed<Bf16Pair>(w.num_elements()));
  parallel_for(w.num_elements(), kWorthAThread, [&](std::int64_t first, std::int64_t last) {
    kernels<Bf16Pair>().round(plain.data<float>() + first, last - first, rounded.mutable_data<std::uint16_t>() + first);
  });
  return rounded;
}

}  // namespace dygrad::native
