#include <dygrad/core/base/ref.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/memory/detail/block_cache.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {
/// Objects of `num_bytes`, each filled with a byte of its own.
std::vector<void*> make_objects(std::size_t count, std::size_t num_bytes) {
  std::vector<void*> objects;
  for (std::size_t i = 0; i < count; ++i) {
    objects.push_back(detail::allocate_object(num_bytes));
    std::memset(objects.back(), static_cast<int>(i % 251), num_bytes);
  }
  return objects;
}
}  // namespace

TEST_CASE("objects are aligned, distinct and as large as asked for") {
  for (std::size_t num_bytes : {1, 64, 65, 160, 1024, 1025, 5000}) {
    const std::vector<void*> objects = make_objects(300, num_bytes);
    CHECK(std::set<void*>(objects.begin(), objects.end()).size() == objects.size());
    bool intact = true;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      CHECK(reinterpret_cast<std::uintptr_t>(objects[i]) % kAlignment == 0);
      const auto* bytes = static_cast<const unsigned char*>(objects[i]);
      for (std::size_t k = 0; k < num_bytes; ++k) intact = intact && bytes[k] == i % 251;
      detail::deallocate_object(objects[i], num_bytes);
    }
    CHECK(intact);
  }
}

TEST_CASE("an object just freed is the next one given") {
  if (!detail::kCaching) {
    SUCCEED("nothing is kept in this build");
    return;
  }
  void* first = detail::allocate_object(160);
  detail::deallocate_object(first, 160);
  void* second = detail::allocate_object(130);  // of the same class
  CHECK(second == first);
  detail::deallocate_object(second, 130);
}

TEST_CASE("what one thread makes and another frees comes back by way of the shared cache", "[threads]") {
  release_cached_memory();
  for (int round = 0; round < 3; ++round) {
    std::vector<void*> objects;
    std::thread([&] { objects = make_objects(1000, 200); }).join();
    for (void* object : objects) detail::deallocate_object(object, 200);
  }
  if (detail::kCaching) CHECK(allocator_statistics().cached_bytes > 0);
  release_cached_memory();
  CHECK(allocator_statistics().cached_bytes == 0);
}
