#include <dygrad/core/memory/storage.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/support/catch.h>

#include <thread>
#include <vector>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {
struct Slot final : RefCounted {
  explicit Slot(int& deaths) : count(deaths) {}
  ~Slot() override { ++count; }
  int& count;
};
}  // namespace

TEST_CASE("a storage owns its bytes and counts its writes") {
  const std::int64_t before = allocator_statistics().live_bytes;
  {
    const Ref<Storage> storage = Storage::allocate(100);
    CHECK(storage->num_bytes() == 100);
    CHECK(storage->device().is_host());
    CHECK(storage->version() == 0);
    storage->bump_version();
    CHECK(storage->version() == 1);
  }
  CHECK(allocator_statistics().live_bytes == before);
}

TEST_CASE("a request beyond the address space is out of memory") {
  CHECK_THROWS_MATCHES(Storage::allocate(SIZE_MAX), OutOfMemory, MessageContains("asked for"));
  CHECK_THROWS_AS(Storage::allocate(SIZE_MAX / 2), OutOfMemory);
}

TEST_CASE("a borrowed storage runs its deleter once, when the last owner goes") {
  int value = 0, calls = 0;
  Ref<Storage> a = Storage::borrow(&value, sizeof value, [&](void* data) { calls += data == &value ? 1 : 100; });
  Ref<Storage> b = a;
  a = nullptr;
  CHECK(calls == 0);
  b = nullptr;
  CHECK(calls == 1);
  CHECK_NOTHROW(Storage::borrow(&value, sizeof value, {}));
}

TEST_CASE("the backend's slot dies with the storage or when it is replaced") {
  int deaths = 0;
  {
    const Ref<Storage> storage = Storage::allocate(8);
    CHECK_FALSE(storage->backend_slot());
    storage->set_backend_slot(make_ref<Slot>(deaths));
    CHECK(storage->backend_slot());
    storage->set_backend_slot(make_ref<Slot>(deaths));
    CHECK(deaths == 1);
    storage->set_backend_slot(nullptr);
    CHECK(deaths == 2);
    CHECK_FALSE(storage->backend_slot());
    storage->set_backend_slot(make_ref<Slot>(deaths));
  }
  CHECK(deaths == 3);
}

TEST_CASE("the backend's slot dies when the bytes change") {
  int deaths = 0;
  const Ref<Storage> storage = Storage::allocate(8);
  storage->set_backend_slot(make_ref<Slot>(deaths));
  storage->bump_version();
  CHECK(deaths == 1);
  CHECK_FALSE(storage->backend_slot());
}

TEST_CASE("references may be copied and dropped by many threads", "[threads]") {
  int value = 0, calls = 0;
  {
    const Ref<Storage> storage = Storage::borrow(&value, sizeof value, [&](void*) { ++calls; });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([copy = storage] {
        for (int i = 0; i < 10000; ++i) const Ref<Storage> another = copy;
      });
    }
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    CHECK(storage->ref_count() == 1);
  }
  CHECK(calls == 1);
}

TEST_CASE("what a backend's slot held goes outside of its lock") {
  struct Asks final : RefCounted {
    explicit Asks(const Storage& of) : storage(of) {}
    ~Asks() override { (void)storage.backend_slot(); }
    const Storage& storage;
  };
  const Ref<Storage> storage = Storage::allocate(8);
  storage->set_backend_slot(make_ref<Asks>(*storage));
  storage->set_backend_slot(nullptr);
  CHECK_FALSE(storage->backend_slot());
}
