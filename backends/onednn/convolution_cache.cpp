#include <dygrad/backends/onednn/convolution_cache.h>

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

Convolution make_or_refuse(Problem::Kind direction, const Conv2DSizes& sizes) {
  constexpr std::size_t kToCompile = std::size_t{4} << 20;  // bytes; generated code is a part of it
  require_memory(name_of(direction), kToCompile);
  try {
    return make_convolution(direction, sizes);
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return {};
    fail(name_of(direction), problem_text(sizes, DType::float32));
  } catch (...) {
    fail(name_of(direction), problem_text(sizes, DType::float32));
  }
}

}  // namespace

const Convolution& cached_convolution(Problem::Kind direction, const Conv2DSizes& sizes) {
  return cache().get({direction, num_threads(), sizes}, [&] {
    const detail::GrantedThreads granted;
    return make_or_refuse(direction, sizes);
  });
}

}  // namespace dygrad::onednn
