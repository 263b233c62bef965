#include <dygrad/core/memory/allocator.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/memory/detail/block_cache.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/command.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <utility>
#include <vector>

using namespace dygrad;

TEST_CASE("statistics return to where they were when tensors go") {
  const AllocatorStatistics before = allocator_statistics();
  {
    const Tensor x = zeros({1000});
    const AllocatorStatistics during = allocator_statistics();
    CHECK(during.live_bytes >= before.live_bytes + 4000);
    CHECK(during.allocations > before.allocations);
  }
  CHECK(allocator_statistics().live_bytes == before.live_bytes);
}

TEST_CASE("the peak remembers the largest amount since its reset") {
  reset_peak_bytes();
  const std::int64_t start = allocator_statistics().peak_bytes;
  CHECK(start == allocator_statistics().live_bytes);
  { const Tensor x = Tensor::empty({1 << 20}, uint8); }
  CHECK(allocator_statistics().peak_bytes >= start + (1 << 20));
  CHECK(allocator_statistics().live_bytes == start);
  reset_peak_bytes();
  CHECK(allocator_statistics().peak_bytes == start);
}

TEST_CASE("blocks are aligned, distinct and as large as asked for") {
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (std::size_t size : {0, 1, 63, 64, 65, 1023, 1024, 1025, 1279, 1280, 1281, 4096, 5000, 100000, 1 << 20,
                           (1 << 20) + 1, 5 << 20, (16 << 20) + 1}) {
    void* block = detail::allocate(size);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % kAlignment == 0);
    std::memset(block, static_cast<int>(blocks.size()), size);
    blocks.emplace_back(block, size);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(blocks[i].first);
    for (std::size_t k = 0; k < blocks[i].second; ++k) {
      if (bytes[k] != i) FAIL("block " << i << " was overwritten at byte " << k);
    }
    detail::deallocate(blocks[i].first, blocks[i].second);
  }
}

TEST_CASE("the shared cache stays below its limit and can be emptied") {
  release_cached_memory();
  CHECK(allocator_statistics().cached_bytes == 0);
  set_allocator_cache_limit(1 << 20);
  {
    std::vector<Tensor> many;
    for (int i = 0; i < 32; ++i) many.push_back(Tensor::empty({100000}, uint8));
  }
  CHECK(allocator_statistics().cached_bytes <= 1 << 20);
  set_allocator_cache_limit(0);
  CHECK(allocator_statistics().cached_bytes == 0);
  { const Tensor x = Tensor::empty({100000}, uint8); }
  CHECK(allocator_statistics().cached_bytes == 0);
  set_allocator_cache_limit(std::int64_t{512} << 20);
}

TEST_CASE("threads that allocate and free each other's blocks keep the books balanced", "[threads]") {
  const std::int64_t before = allocator_statistics().live_bytes;
  constexpr int kThreads = 4, kRounds = 3000;
  std::vector<std::vector<Tensor>> handed(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&handed, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<Tensor>& mine = handed[static_cast<std::size_t>(t)];
      for (int i = 0; i < kRounds; ++i) {
        Tensor x = Tensor::empty({static_cast<std::int64_t>(random() % (i % 50 == 0 ? 300000 : 900))}, uint8);
        if (x.num_bytes() > 0) x.write<std::uint8_t>()[0] = 1;
        if (mine.size() < 100) mine.push_back(x);
        else mine[random() % mine.size()] = x;
        if (i % 500 == 0) release_cached_memory();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(allocator_statistics().live_bytes > before);
  handed.clear();  // freed by a thread that allocated none of them
  CHECK(allocator_statistics().live_bytes == before);
}

#if defined(__GLIBC__) && defined(__linux__)
namespace {
/// Bytes of this process in memory.
std::int64_t resident_bytes() {
  std::ifstream pages("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  pages >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}
}  // namespace

// In a process of its own: what other tests leave in the heap would lie between these tensors.
TEST_CASE("pages that many small tensors held are given back", "[.]") {
  if (!detail::kCaching) {
    SUCCEED("the address sanitizer keeps freed memory");
    return;
  }
  constexpr std::int64_t kTensors = 400'000;  // 128 bytes and an object each
  release_cached_memory();
  const std::int64_t before = resident_bytes();
  std::vector<Tensor> tensors;
  tensors.reserve(kTensors);
  for (std::int64_t i = 0; i < kTensors; ++i) tensors.push_back(Tensor::empty({1}));
  const Tensor last = std::exchange(tensors.front(), tensors.back());  // a block in the heap's middle or end stays
  const std::int64_t during = resident_bytes();
  tensors = {};
  release_cached_memory();
  const std::int64_t after = resident_bytes();
  CHECK(during - before > kTensors * 128);
  CHECK(after - before < (during - before) / 8);
}

TEST_CASE("what many small tensors held goes back to the system on request") {
  const auto result = dygrad::testing::run_test_in_new_process("pages that many small tensors held are given back");
  INFO(result.output);
  CHECK(result.status == 0);
}
#endif
