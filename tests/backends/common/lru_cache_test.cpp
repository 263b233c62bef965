#include <dygrad/backends/common/lru_cache.h>

#include <functional>
#include <stdexcept>
#include <string>

#include <dygrad/tests/support/catch.h>

using dygrad::LruCache;

namespace {
using Cache = LruCache<int, std::string, std::hash<int>>;

/// What the cache holds for the key, and whether it had to be made.
std::pair<std::string, bool> ask(Cache& cache, int key) {
  bool made = false;
  const std::string value = cache.get(key, [&] {
    made = true;
    return std::to_string(key);
  });
  return {value, made};
}
}  // namespace

TEST_CASE("an LRU cache makes each value once") {
  Cache cache(3);
  CHECK(ask(cache, 1) == std::pair<std::string, bool>("1", true));
  CHECK(ask(cache, 2) == std::pair<std::string, bool>("2", true));
  CHECK(ask(cache, 1) == std::pair<std::string, bool>("1", false));
  CHECK(ask(cache, 1) == std::pair<std::string, bool>("1", false));
  CHECK(cache.size() == 2);
}

TEST_CASE("a full LRU cache forgets what was not used for longest") {
  Cache cache(3);
  for (int key : {1, 2, 3}) ask(cache, key);
  ask(cache, 1);  // 2 is now the oldest
  CHECK(ask(cache, 4).second);
  CHECK(cache.size() == 3);
  CHECK_FALSE(ask(cache, 1).second);
  CHECK_FALSE(ask(cache, 3).second);
  CHECK(ask(cache, 2).second);
}

TEST_CASE("an LRU cache stays as it was when making a value throws") {
  Cache cache(1);
  ask(cache, 1);
  CHECK_THROWS_AS(cache.get(2, []() -> std::string { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK(cache.size() == 1);
  CHECK_FALSE(ask(cache, 1).second);
}

TEST_CASE("an LRU cache never holds more than its capacity") {
  Cache cache(16);
  for (int key = 0; key < 1000; ++key) ask(cache, key * 7919 % 101);
  CHECK(cache.size() == 16);
}
