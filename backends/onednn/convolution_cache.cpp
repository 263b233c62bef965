#include <dygrad/backends/onednn/convolution_cache.h>

#include <algorithm>
#include <array>
#include <atomic>

#include <dygrad/backends/common/lru_cache.h>
#include <dygrad/backends/common/problem_text.h>
#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad::onednn {

namespace {

struct Key {
  Problem::Kind direction;
  int threads;  // oneDNN divides the work when it compiles
  Conv2DSizes sizes;
  bool operator==(const Key&) const = default;
};

struct Hash {
  std::size_t operator()(const Key& key) const {
    const Conv2DSizes& s = key.sizes;
    std::uint64_t hash = static_cast<std::uint64_t>(key.direction) + 8 * static_cast<std::uint64_t>(key.threads);
    for (const std::int64_t value :
         {s.n, s.c, s.h, s.w, s.o, s.oh, s.ow, s.kh, s.kw, s.groups, s.sh, s.sw, s.ph, s.pw, s.dh, s.dw}) {
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
      hash ^= hash >> 32;
    }
    return hash;
  }
};

LruCache<Key, Convolution, Hash>& cache() {
  return detail::per_thread([] { return LruCache<Key, Convolution, Hash>(kConvolutionsPerThread); });
}

// Note [Primitives that fail while they are made]
// A primitive that oneDNN had no memory to make stays in its primitive cache as a broken promise, under a key that
// refers to freed memory, so that creating it again throws or crashes, and so does evicting it. So oneDNN is not asked
// for such a problem again, and another algorithm computes it.

/// Hashes of those problems, for the whole process, in memory of their own. Once the table is full, every problem that
/// is not compiled yet is refused.
class FailedProblems {
 public:
  bool contains(std::uint64_t hash) const noexcept {
    return count_ > hashes_.size() ||
           std::any_of(hashes_.begin(), hashes_.end(), [&](const auto& each) { return each == (hash | 1); });
  }
  void add(std::uint64_t hash) noexcept {
    if (const std::size_t index = count_++; index < hashes_.size()) hashes_[index] = hash | 1;
  }

 private:
  std::array<std::atomic<std::uint64_t>, 64> hashes_{};  // with the lowest bit set; 0 is an empty slot
  std::atomic<std::size_t> count_{0};
};
constinit FailedProblems failed_problems;

Convolution make_or_refuse(const Key& key) {
  const auto& [direction, threads, sizes] = key;
  const std::uint64_t hash = Hash{}(key);
  if (failed_problems.contains(hash)) return {};
  constexpr std::size_t kToCompile = std::size_t{4} << 20;  // bytes; generated code is a part of it
  require_memory(name_of(direction), kToCompile);
  try {
    return make_convolution(direction, sizes);
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return {};
    failed_problems.add(hash);
    fail(name_of(direction), problem_text(sizes, DType::float32));
  } catch (...) {
    failed_problems.add(hash);
    fail(name_of(direction), problem_text(sizes, DType::float32));
  }
}

}  // namespace

const Convolution& cached_convolution(Problem::Kind direction, const Conv2DSizes& sizes) {
  const Key key{direction, num_threads(), sizes};
  return cache().get(key, [&] {
    const detail::GrantedThreads granted;
    return make_or_refuse(key);
  });
}

}  // namespace dygrad::onednn
