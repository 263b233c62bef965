// Comparing what was loaded with what comes back after saving it.
#pragma once

#include <cstring>

#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/tensor/tensor.h>

#include "target.h"

namespace dygrad::fuzz {

inline constexpr std::int64_t kMaxBytes = 1 << 20;  // of tensors, per file

inline void require_equal(const Tensor& a, const Tensor& b) {
  require(a.dtype() == b.dtype() && a.shape() == b.shape(), "a tensor comes back with another dtype or shape");
  const auto bytes = [](const Tensor& x) {
    return x.impl()->storage->data() + static_cast<std::size_t>(x.impl()->offset) * size_of(x.dtype());
  };
  require(a.is_contiguous() && b.is_contiguous(), "a loaded tensor is not row-major");
  require(a.num_bytes() == 0 || std::memcmp(bytes(a), bytes(b), static_cast<std::size_t>(a.num_bytes())) == 0,
          "a tensor comes back with other values");
}

inline void require_equal(const NamedTensors& a, const NamedTensors& b) {
  require(a.size() == b.size(), "other tensors come back");
  for (std::size_t i = 0; i < a.size(); ++i) {
    require(a[i].first == b[i].first, "a tensor comes back with another name");
    require_equal(a[i].second, b[i].second);
  }
}

}  // namespace dygrad::fuzz
