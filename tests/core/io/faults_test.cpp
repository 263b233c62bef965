// Saves and loads of every format under faults: no memory at any allocation, a disk that is full at any byte. What was
// there before is there afterwards.
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/data/idx.h>
#include <dygrad/core/io/npy.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>
#include <dygrad/tests/support/file_size_limit.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <dygrad/tests/core/io/zip_bytes.h>

#include <functional>

using namespace dygrad;
using namespace std::string_literals;
using namespace dygrad::testing;

namespace {

struct Format {
  std::string name;
  std::function<void(const std::string& path, const NamedTensors& tensors)> save;
  std::function<Tensor(const std::string& path)> load;
};

std::vector<Format> formats() {
  return {{"npy", [](const std::string& path, const NamedTensors& tensors) { save_npy(path, tensors[0].second); },
           [](const std::string& path) { return load_npy(path); }},
          {"npz", [](const std::string& path, const NamedTensors& tensors) { save_npz(path, tensors); },
           [](const std::string& path) { return load_npz(path)[0].second; }},
          {"safetensors",
           [](const std::string& path, const NamedTensors& tensors) {
             static const Metadata metadata{{"a", "b"}};
             save_safetensors(path, tensors, metadata);
           },
           [](const std::string& path) { return load_safetensors(path).tensors[0].second; }}};
}

NamedTensors named(const Tensor& x) { return {{"x", x}, {"y", zeros({2})}}; }

std::int64_t live_bytes() { return allocator_statistics().live_bytes; }

}  // namespace

TEST_CASE("a save that gets no memory says so, and the old file stays, alone") {
  for (const Format& format : formats()) {
    INFO(format.name);
    const TemporaryFolder folder;
    const std::string path = folder.file(std::string(100, 'a'));
    const NamedTensors old = named(ones({3})), x = named(arange(12));
    format.save(path, old);
    const std::string before = read_file(path);
    const std::int64_t live = live_bytes();
    const std::int64_t failures = for_each_failing_allocation([&] { format.save(path, x); },
                                                              [&](std::int64_t, bool threw) {
                                                                CHECK(folder.num_files() == 1);
                                                                CHECK(live_bytes() == live);
                                                                CHECK((read_file(path) == before) == threw);
                                                                if (!threw) format.save(path, old);
                                                              });
    CHECK(failures > 5);
  }
}

TEST_CASE("a load that gets no memory says so, and keeps none") {
  const TemporaryFolder folder;
  const std::string path = folder.file(std::string(100, 'a'));
  const auto check_load = [&](const std::function<Tensor()>& load) {
    const Tensor whole = load();
    const std::int64_t live = live_bytes();
    const std::int64_t failures =
        for_each_failing_allocation([&] { (void)load(); }, [&](std::int64_t, bool) { CHECK(live_bytes() == live); });
    CHECK(failures > 5);
    CHECK(load().shape() == whole.shape());
  };
  for (const Format& format : formats()) {
    INFO(format.name);
    format.save(path, named(arange(12)));
    check_load([&] { return format.load(path); });
  }
  const std::string idx = "\0\0\x09\x01\0\0\0\x06"s + "abcdef";
  write_file(path, idx);
  check_load([&] { return load_idx(path); });
  write_file(path, "\x1f\x8b\x08"s + std::string(7, '\0') + deflate_bytes(idx) +
                       u32(crc32_z(0, reinterpret_cast<const Bytef*>(idx.data()), idx.size())) + u32(idx.size()));
  check_load([&] { return load_idx(path); });
}

TEST_CASE("an error that gets no memory for its words is still an error of dygrad") {
  const TemporaryFolder folder;
  const std::string path = folder.file(std::string(100, 'a'));
  write_file(path, std::string(200, 'x'));
  const auto check_error = [](const std::function<void()>& f) {
    for_each_failing_allocation(
        [&] {
          try {
            f();
          } catch (const IoError&) {
          }
        },
        [](std::int64_t, bool) {});
  };
  check_error([&] { (void)load_npy(path); });
  check_error([&] { (void)load_npz(path); });
  check_error([&] { (void)load_safetensors(path); });
  check_error([&] { (void)load_idx(path); });
  const std::string none = path + "none";
  check_error([&] { (void)load_idx(none); });
  const Tensor x = ones({1});
  check_error([&] { save_npy(folder.path(), x); });
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a disk that is full at any byte of a file leaves the old one, alone") {
  for (const Format& format : formats()) {
    INFO(format.name);
    const TemporaryFolder folder;
    const std::string path = folder.file("a");
    const Tensor x = arange(20);
    format.save(path, named(x));
    const std::size_t whole = read_file(path).size();
    format.save(path, named(ones({1})));
    const std::string before = read_file(path);
    for (std::size_t room = 0; room < whole; ++room) {
      const FileSizeLimit limit(room);
      REQUIRE_THROWS_MATCHES(format.save(path, named(x)), IoError,
                             MessageContains("cannot write", "File too large", "fix"));
      REQUIRE(folder.num_files() == 1);
    }
    CHECK(read_file(path) == before);
    const FileSizeLimit limit(whole);
    format.save(path, named(x));
    CHECK(format.load(path).to_vector<std::int64_t>() == x.to_vector<std::int64_t>());
  }
}
