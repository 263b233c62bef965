// Files that ask for more memory than they are worth: packed, sparse, or over a limit that the caller sets.
#include <dygrad/core/io/detail/load_budget.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/data/idx.h>
#include <dygrad/core/io/npy.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/core/io/zip_bytes.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <filesystem>

using namespace dygrad;
using namespace std::string_literals;
using namespace dygrad::testing;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// A deflate stream of `prefix` and this many MiB of zeros, made of one block again and again.
std::string deflated_zeros(const std::string& prefix, std::size_t mebibytes) {
  std::string block = deflate_bytes(std::string(kMiB, '\0'), Z_FULL_FLUSH);
  std::string all = deflate_bytes(prefix, Z_FULL_FLUSH);
  for (std::size_t i = 0; i < mebibytes; ++i) all += block;
  return all + deflate_bytes("", Z_FINISH);
}

std::string npy_of_bytes(std::size_t count) {
  std::string text = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + std::to_string(count) + ",), }\n";
  return "\x93NUMPY\x01"s + '\0' + static_cast<char>(text.size()) + '\0' + text;
}

std::string packed_npz(std::size_t mebibytes) {
  const std::string header = npy_of_bytes(mebibytes * kMiB);
  return zip_bytes("zeros.npy", deflated_zeros(header, mebibytes), /*method=*/8, header.size() + mebibytes * kMiB, 0);
}

std::string packed_idx(std::size_t mebibytes) {
  const std::string header =
      "\0\0\x08\x02\0\x10\0\0"s + '\0' + '\0' + static_cast<char>(mebibytes >> 8) + static_cast<char>(mebibytes);
  return "\x1f\x8b\x08"s + std::string(7, '\0') + deflated_zeros(header, mebibytes) + std::string(8, '\0');
}

/// The beginning of a safetensors file of this many bytes that holds one tensor.
std::string sparse_safetensors(std::uint64_t num_bytes) {
  constexpr std::uint64_t kHeaderBytes = 120;
  const std::string count = std::to_string(num_bytes - 8 - kHeaderBytes);
  std::string json = R"({"x":{"dtype":"U8","shape":[)" + count + R"(],"data_offsets":[0,)" + count + "]}}";
  json.resize(kHeaderBytes, ' ');
  return std::string{static_cast<char>(kHeaderBytes), 0, 0, 0, 0, 0, 0, 0} + json;
}

/// A file of this many bytes that takes no room on the disk but for what it begins with.
void write_sparse(const std::string& path, const std::string& begin, std::uintmax_t num_bytes) {
  write_file(path, begin);
  std::filesystem::resize_file(path, num_bytes);
}

}  // namespace

TEST_CASE("a small packed file that becomes large is refused before memory is taken for it") {
  const TemporaryFolder folder;
  write_file(folder.file("a.npz"), packed_npz(1024));
  write_file(folder.file("a.gz"), packed_idx(1024));
  REQUIRE(std::filesystem::file_size(folder.file("a.npz")) < 2 * kMiB);
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  CHECK_THROWS_MATCHES(load_npz(folder.file("a.npz")), IoError,
                       MessageContains("load_npz", "a.npz", "zeros", "268435456", "1073741824", "max_bytes"));
  CHECK_THROWS_MATCHES(load_idx(folder.file("a.gz")), IoError,
                       MessageContains("load_idx", "a.gz", "268435456", "1073741824", "max_bytes"));
  CHECK(allocator_statistics().peak_bytes - live < 4096);
}

TEST_CASE("who trusts a packed file can allow more, or less") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.npz");
  write_file(path, packed_npz(3));
  constexpr std::int64_t kBytes = 3 << 20;
  CHECK_THROWS_MATCHES(load_npz(path, {.max_bytes = kBytes - 1}), IoError, MessageContains("3145727", "3145728"));
  // Its checksum is wrong, which is found only after all of it was unpacked.
  CHECK_THROWS_MATCHES(load_npz(path, {.max_bytes = kBytes}), IoError, MessageContains("checksum"));
  CHECK_THROWS_MATCHES(load_npz(path), IoError, MessageContains("checksum"));
  CHECK_THROWS_MATCHES(load_npz(path, {.max_bytes = -1}), InvalidArgument, MessageContains("load_npz", "negative"));
}

TEST_CASE("the limit holds for all tensors of a file together, in every format") {
  const TemporaryFolder folder;
  const NamedTensors tensors{{"a", ones({4})}, {"b", ones({8})}};  // 16 and 32 bytes
  save_npz(folder.file("a.npz"), tensors);
  save_safetensors(folder.file("a.safetensors"), tensors);
  save_npy(folder.file("a.npy"), ones({12}));
  write_file(folder.file("a.idx"), "\0\0\x09\x01\0\0\0\x06"s + "abcdef");  // signed bytes become int64
  CHECK(load_npz(folder.file("a.npz"), {.max_bytes = 48}).size() == 2);
  CHECK(load_safetensors(folder.file("a.safetensors"), {.max_bytes = 48}).tensors.size() == 2);
  CHECK(load_npy(folder.file("a.npy"), {.max_bytes = 48}).num_elements() == 12);
  CHECK(load_idx(folder.file("a.idx"), {.max_bytes = 48}).num_elements() == 6);
  const MessageContains too_large("47 bytes", "max_bytes");
  CHECK_THROWS_MATCHES(load_npz(folder.file("a.npz"), {.max_bytes = 47}), IoError, too_large);
  CHECK_THROWS_MATCHES(load_safetensors(folder.file("a.safetensors"), {.max_bytes = 47}), IoError, too_large);
  CHECK_THROWS_MATCHES(load_npy(folder.file("a.npy"), {.max_bytes = 47}), IoError, too_large);
  CHECK_THROWS_MATCHES(load_idx(folder.file("a.idx"), {.max_bytes = 47}), IoError, too_large);
}

TEST_CASE("sparse files of any size are refused at once") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  constexpr std::uintmax_t kTebibyte = std::uintmax_t{1} << 40;
  const std::string safetensors = sparse_safetensors(kTebibyte);
  for (const std::string& begin :
       {""s, "\xff\xff\xff\0"s, safetensors, npy_of_bytes(kTebibyte - npy_of_bytes(kTebibyte).size()),
        "\0\0\x08\x02\0\0\x01\0\xff\xff\xff\xff"s, "\x1f\x8b\x08"s, "PK\x03\x04"s, "dygrad autotune 1\n"s}) {
    INFO(begin);
    write_sparse(path, begin, kTebibyte);
    CHECK_THROWS_AS(load_npy(path), IoError);
    CHECK_THROWS_AS(load_npz(path), IoError);
    CHECK_THROWS_AS(load_idx(path), IoError);
    CHECK_THROWS_AS(load_safetensors(path), IoError);
    CHECK_THROWS_AS(load_mnist(folder.path(), Split::train), IoError);
  }
}
