#include <dygrad/core/data/idx.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <numeric>
#include <random>

#include <stdlib.h>
#include <zlib.h>

using namespace dygrad;
using namespace std::string_literals;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;

namespace {

std::string gzip(const std::string& plain) {
  const TemporaryFolder folder;
  const gzFile file = gzopen(folder.file("z").c_str(), "wb9");
  gzwrite(file, plain.data(), static_cast<unsigned>(plain.size()));
  gzclose(file);
  return testing::read_file(folder.file("z"));
}

Tensor load_bytes(const TemporaryFolder& folder, const std::string& bytes) {
  testing::write_file(folder.file("x"), bytes);
  return load_idx(folder.file("x"));
}

const std::string kBytes =
    "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
    "abcdef"s;

}  // namespace

TEST_CASE("idx files are read plain and gzipped") {
  const TemporaryFolder folder;
  for (const std::string& bytes : {kBytes, gzip(kBytes)}) {
    const Tensor x = load_bytes(folder, bytes);
    CHECK(x.shape() == Shape{2, 3});
    CHECK(x.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  }
}

TEST_CASE("idx files hold numbers with the most significant byte first") {
  const TemporaryFolder folder;
  CHECK(load_bytes(folder, "\0\0\x09\x01\0\0\0\x01\xff"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{-1});
  CHECK(load_bytes(folder, "\0\0\x0b\x01\0\0\0\x01\x01\x02"s).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{258});
  CHECK(load_bytes(folder, "\0\0\x0c\x01\0\0\0\x01\xff\xff\xff\xfe"s).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-2});
  CHECK(load_bytes(folder, "\0\0\x0d\x01\0\0\0\x01\x3f\xc0\0\0"s).to_vector<float>() == std::vector<float>{1.5});
  CHECK(load_bytes(folder, "\0\0\x0e\x01\0\0\0\x01\xbf\xe0\0\0\0\0\0\0"s).to_vector<double>() ==
        std::vector<double>{-0.5});
  CHECK(load_bytes(folder, "\0\0\x08\x02\0\0\0\0\0\0\0\x05"s).shape() == Shape{0, 5});
}

TEST_CASE("every malformed idx file is an error that names the file") {
  const TemporaryFolder folder;
  const std::string packed = gzip(kBytes);
  std::string bad_checksum = packed;
  bad_checksum[packed.size() - 6] ^= 1;
  const std::vector<std::pair<std::string, std::string>> corpus{
      {"empty", ""},
      {"short", "\0\0\x08"s},
      {"magic", "\1\0\x08\x01\0\0\0\0"s},
      {"unknown type", "\0\0\x0a\x01\0\0\0\0"s},
      {"seven dimensions", "\0\0\x08\x07"s + std::string(28, '\1') + "a"},
      {"extents cut", kBytes.substr(0, 10)},
      {"data cut", kBytes.substr(0, kBytes.size() - 1)},
      {"trailing byte", kBytes + "x"},
      {"huge", "\0\0\x08\x02\x7f\xff\xff\xff\x7f\xff\xff\xff"s},
      {"overflow", "\0\0\x0e\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s},
      {"gzip cut", packed.substr(0, packed.size() - 9)},
      {"gzip without its end", packed.substr(0, packed.size() - 1)},
      {"gzip checksum", bad_checksum},
      {"gzip and more", packed + "x"},
      {"gzip of too little", gzip(kBytes.substr(0, kBytes.size() - 1))},
      {"gzip of too much", gzip(kBytes + "x")},
      {"gzip of a huge promise", gzip("\0\0\x08\x02\x7f\xff\xff\xff\x7f\xff\xff\xff"s)},
  };
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  for (const auto& [what, bytes] : corpus) {
    INFO(what);
    testing::write_file(folder.file("x"), bytes);
    CHECK_THROWS_MATCHES(load_idx(folder.file("x")), IoError, MessageContains("load_idx", folder.file("x"), "fix: "));
  }
  CHECK_THROWS_AS(load_idx(folder.file("none")), IoError);
  CHECK(allocator_statistics().peak_bytes - live < 4096);
}

TEST_CASE("changing any byte of an idx file gives a tensor or an error") {
  const TemporaryFolder folder;
  std::mt19937 random(13);
  int errors = 0;
  for (const std::string& good : {kBytes, gzip(kBytes)}) {
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (int round = 0; round < 8; ++round) {
        std::string bytes = good;
        bytes[i] = static_cast<char>(random());
        try {
          const Tensor x = load_bytes(folder, bytes);
          CHECK(x.num_bytes() <= 6 * 8);
        } catch (const IoError&) {
          ++errors;
        }
      }
    }
  }
  CHECK(errors > 200);
}

TEST_CASE("an image set needs images and labels that fit") {
  const TemporaryFolder folder;
  const std::string images =
      "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03"
      "abcdef"s;
  testing::write_file(folder.file("train-images-idx3-ubyte"), images);
  CHECK_THROWS_MATCHES(load_mnist(folder.path(), Split::train), IoError,
                       MessageContains("train-labels-idx1-ubyte.gz", "No such file"));
  testing::write_file(folder.file("train-labels-idx1-ubyte.gz"), gzip("\0\0\x08\x01\0\0\0\x02\x07\x09"s));
  const ImageSet set = load_mnist(folder.path(), Split::train);
  CHECK(set.images.shape() == Shape{2, 1, 3});
  CHECK(set.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 9});
  testing::write_file(folder.file("train-labels-idx1-ubyte.gz"), gzip("\0\0\x08\x01\0\0\0\x01\x07"s));
  CHECK_THROWS_MATCHES(load_mnist(folder.path(), Split::train), IoError,
                       MessageContains("do not fit", "[2, 1, 3]", "[1]"));
}

TEST_CASE("Fashion-MNIST is read whole") {
  const std::optional<std::string> folder = find_fashion_mnist();
  if (!folder) {
    WARN("skipped: Fashion-MNIST is not installed (package dataset-fashion-mnist; or name its folder in DYGRAD_DATA)");
    SUCCEED();
    return;
  }
  const ImageSet test = load_mnist(*folder, Split::test);
  CHECK(test.images.shape() == Shape{10000, 28, 28});
  std::vector<int> counts(10);
  for (std::int64_t label : test.labels.read<std::int64_t>()) ++counts.at(static_cast<std::size_t>(label));
  CHECK(counts == std::vector<int>(10, 1000));
  CHECK(load_mnist(*folder, Split::train).images.shape() == Shape{60000, 28, 28});
}
