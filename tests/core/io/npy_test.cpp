#include <dygrad/core/io/npy.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/core/io/zip_bytes.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/python.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace dygrad;
using namespace std::string_literals;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;
using dygrad::testing::u16;
using dygrad::testing::u32;

namespace {

NamedTensors every_dtype() {
  return {{"f4", tensor({{1.5, -2.}, {INFINITY, 1e-40}})},
          {"f8", tensor({1e300, -0.1}, float64)},
          {"i8", tensor({std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                         std::numeric_limits<std::int64_t>::max()})},
          {"u1", tensor({0, 128, 255}, uint8)},
          {"b1", tensor({true, false, true})},
          {"scalar", tensor(3.25)},
          {"empty", zeros({0, 3}, int64)},
          {"gr\xc3\xb6\xc3\x9f"
           "e",
           ones({1, 1, 1, 1, 1, 1})}};
}

void check_equal(const Tensor& a, const Tensor& b) {
  CHECK(a.dtype() == b.dtype());
  CHECK(a.shape() == b.shape());
  dispatch_all(a.dtype(), [&]<class T>() { CHECK(a.to_vector<T>() == b.to_vector<T>()); });
}
void check_equal(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("tensor " << a[i].first);
    CHECK(a[i].first == b[i].first);
    check_equal(a[i].second, b[i].second);
  }
}

/// A .npy file of this dictionary.
std::string npy(const std::string& dictionary, const std::string& data, char version = 1) {
  const std::string length = version == 1 ? std::string{static_cast<char>(dictionary.size()), 0}
                                          : std::string{static_cast<char>(dictionary.size()), 0, 0, 0};
  return "\x93NUMPY"s + version + '\0' + length + dictionary + data;
}
std::string npy_of(const std::string& descr, const std::string& shape, const std::string& data,
                   const std::string& fortran = "False") {
  return npy("{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n", data);
}

Tensor load_bytes(const TemporaryFolder& folder, const std::string& bytes) {
  testing::write_file(folder.file("x.npy"), bytes);
  return load_npy(folder.file("x.npy"));
}
NamedTensors load_archive(const TemporaryFolder& folder, const std::string& bytes) {
  testing::write_file(folder.file("x.npz"), bytes);
  return load_npz(folder.file("x.npz"));
}

/// A zip archive of one member, made field by field.
struct Zip {
  std::string name = "x.npy";
  std::string plain = npy_of("|u1", "(3,)", "abc");
  bool deflated = false;
  std::size_t claimed = std::string::npos;  // size once decompressed
  std::size_t method = std::string::npos;
  std::size_t flags = 0;
  std::uint32_t checksum_error = 0;
  std::string comment = {};

  std::string bytes() const {
    const auto crc =
        static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(plain.data()), plain.size())) ^
        checksum_error;
    const std::size_t default_method = deflated ? 8 : 0;
    return testing::zip_bytes(name, deflated ? testing::deflate_bytes(plain) : plain,
                              method != std::string::npos ? method : default_method,
                              claimed != std::string::npos ? claimed : plain.size(), crc, flags, comment);
  }
};

}  // namespace

TEST_CASE("npy files keep every dtype and shape") {
  const TemporaryFolder folder;
  for (const auto& [name, x] : every_dtype()) {
    INFO(name);
    save_npy(folder.file("a.npy"), x);
    check_equal(load_npy(folder.file("a.npy")), x);
  }
  const Tensor turned = view::transpose(uniform({3, 4}), 0, 1);
  save_npy(folder.file("a.npy"), turned);
  check_equal(load_npy(folder.file("a.npy")), turned);
  CHECK(testing::read_file(folder.file("a.npy")).find('\n') % 64 == 63);  // elements are aligned
  CHECK_THROWS_AS(save_npy(folder.file("a.npy"), Tensor()), InvalidArgument);
  CHECK_THROWS_MATCHES(save_npy(folder.file("no/a.npy"), turned), IoError, MessageContains("save_npy", "No such file"));
}

TEST_CASE("npz archives keep names, order and values, and are the same each time") {
  const TemporaryFolder folder;
  save_npz(folder.file("a.npz"), every_dtype());
  check_equal(load_npz(folder.file("a.npz")), every_dtype());
  save_npz(folder.file("b.npz"), every_dtype());
  CHECK(testing::read_file(folder.file("a.npz")) == testing::read_file(folder.file("b.npz")));
  save_npz(folder.file("a.npz"), {});
  CHECK(load_npz(folder.file("a.npz")).empty());
  CHECK_THROWS_MATCHES(save_npz(folder.file("a.npz"), {{"x", ones({1})}, {"x", ones({1})}}), InvalidArgument,
                       MessageContains("one name"));
  CHECK_THROWS_AS(save_npz(folder.file("a.npz"), {{"x", Tensor()}}), InvalidArgument);
  CHECK_THROWS_AS(save_npz(folder.file("a.npz"), {{std::string(70000, 'x'), ones({1})}}), InvalidArgument);
  CHECK(load_npz(folder.file("a.npz")).empty());
}

TEST_CASE("both byte orders, both memory orders and all versions of npy are read") {
  const TemporaryFolder folder;
  CHECK(load_bytes(folder, npy_of(">f4", "(2,)", "\x3f\x80\0\0\xc0\0\0\0"s)).to_vector<float>() ==
        std::vector<float>{1, -2});
  CHECK(load_bytes(folder, npy_of(">i2", "(2,)", "\x01\x02\xff\xfe"s)).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{258, -2});
  CHECK(load_bytes(folder, npy_of("<u2", "(2,)", "\x01\x02\xff\xfe"s)).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{513, 65279});
  CHECK(load_bytes(folder, npy_of(">f2", "()", "\x3c\0"s)).item() == 1);
  const Tensor fortran = load_bytes(folder, npy_of("|u1", "(2, 3)", "adbecf", "True"));
  CHECK(fortran.shape() == Shape{2, 3});
  CHECK_THROWS_MATCHES(load_bytes(folder, npy_of("|u1", "(2, 3)", "adbec", "True")), IoError,
                       MessageContains("shape [2, 3]"));
  CHECK(fortran.is_contiguous());
  CHECK(fortran.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  const std::string dictionary = "{\"shape\":(3),'fortran_order':False,'descr':'|u1'}";
  for (char version : {'\1', '\2', '\3'})
    CHECK(load_bytes(folder, npy(dictionary, "abc", version)).shape() == Shape{3});
}

TEST_CASE("every malformed npy file is an error that names the file") {
  const TemporaryFolder folder;
  const std::string good = npy_of("|u1", "(3,)", "abc");
  REQUIRE(load_bytes(folder, good).num_elements() == 3);
  std::string bad_version = good, bad_minor = good, long_header = good;
  bad_version[6] = 4;
  bad_minor[7] = 1;
  long_header[9] = 120;
  const std::string huge_header = "\x93NUMPY\x02\x00\xff\xff\xff\xff"s + good.substr(10);
  const std::vector<std::pair<std::string, std::string>> corpus{
      {"empty", ""},
      {"short", "\x93NUM"},
      {"other magic", "x" + good.substr(1)},
      {"version", bad_version},
      {"minor version", bad_minor},
      {"header past the end", long_header},
      {"huge header", huge_header},
      {"data cut", good.substr(0, good.size() - 1)},
      {"trailing bytes", good + "x"},
      {"unknown type", npy_of("<c8", "(3,)", "abc")},
      {"uint64", npy_of("<u8", "(1,)", "12345678")},
      {"object", npy_of("|O", "(3,)", "abc")},
      {"no byte order", npy_of("|f4", "(1,)", "abcd")},
      {"empty type", npy_of("", "(3,)", "abc")},
      {"structured", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd")},
      {"bad bool", npy_of("|b1", "(3,)", "\0\1\2"s)},
      {"bad order", npy_of("|u1", "(3,)", "abc", "Maybe")},
      {"negative extent", npy_of("|u1", "(-3,)", "abc")},
      {"extent overflow", npy_of("|u1", "(99999999999999999999,)", "abc")},
      {"product overflow", npy_of("|u1", "(4294967296, 4294967296)", "abc")},
      {"byte overflow", npy_of("<f8", "(4611686018427387904,)", "abc")},
      {"huge", npy_of("<f8", "(1000000000000,)", "abc")},
      {"empty but overflowing", npy_of("|u1", "(0, 4294967296, 4294967296)", "")},
      {"seven dimensions", npy_of("|u1", "(1,1,1,1,1,1,3)", "abc")},
      {"shape a list", npy_of("|u1", "[3]", "abc")},
      {"shape of words", npy_of("|u1", "(x,)", "abc")},
      {"shape unclosed", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3", "abc")},
      {"field twice", npy("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "abc")},
      {"field unknown", npy("{'descr': '|u1', 'more': '|u1', 'fortran_order': False, 'shape': (3,)}", "abc")},
      {"field missing", npy("{'descr': '|u1', 'fortran_order': False}", "abc")},
      {"not a dictionary", npy("(3,)", "abc")},
      {"text after", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)} x", "abc")},
      {"unclosed string", npy("{'descr", "abc")},
      {"empty header", npy("", "abc")},
  };
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  for (const auto& [what, bytes] : corpus) {
    INFO(what);
    testing::write_file(folder.file("x.npy"), bytes);
    CHECK_THROWS_MATCHES(load_npy(folder.file("x.npy")), IoError, MessageContains("load_npy", "x.npy", "fix: "));
  }
  CHECK(allocator_statistics().peak_bytes - live < 4096);
}

TEST_CASE("archives are read whether stored or deflated, with a comment or without") {
  const TemporaryFolder folder;
  for (bool deflated : {false, true}) {
    const NamedTensors tensors =
        load_archive(folder, Zip{.deflated = deflated, .comment = "PK\x05\x06 is no end here"}.bytes());
    REQUIRE(tensors.size() == 1);
    CHECK(tensors[0].first == "x");
    CHECK(tensors[0].second.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{'a', 'b', 'c'});
  }
}

TEST_CASE("every malformed archive is an error that names the file") {
  const TemporaryFolder folder;
  const std::string good = Zip{}.bytes();
  std::string two_disks = good, far = good, members = good;
  two_disks[good.size() - 18] = 1;
  far[good.size() - 6] = 9;
  members[good.size() - 12] = 2;
  const std::string plain = npy_of("|u1", "(3,)", "abc");
  const std::vector<std::pair<std::string, std::string>> corpus{
      {"empty", ""},
      {"no archive", "hello, this is no archive at all, but long enough"},
      {"cut", good.substr(0, good.size() - 1)},
      {"trailing byte", good + "x"},
      {"byte in front", "x" + good},
      {"several disks", two_disks},
      {"directory elsewhere", far},
      {"one member too many", members},
      {"no array by name", Zip{.name = "x.txt"}.bytes()},
      {"no array inside", Zip{.plain = "hello"}.bytes()},
      {"bytes behind the array", Zip{.plain = plain + "x"}.bytes()},
      {"encrypted", Zip{.flags = 1}.bytes()},
      {"unknown method", Zip{.method = 12}.bytes()},
      {"stored checksum", Zip{.checksum_error = 1}.bytes()},
      {"deflated checksum", Zip{.deflated = true, .checksum_error = 1}.bytes()},
      {"stored as deflated", Zip{.method = 8}.bytes()},
      {"deflated as stored", Zip{.deflated = true, .method = 0}.bytes()},
      {"size too small", Zip{.deflated = true, .claimed = plain.size() - 1}.bytes()},
      {"size too large", Zip{.deflated = true, .claimed = plain.size() + 1}.bytes()},
      {"size impossible", Zip{.deflated = true, .claimed = 0xfffffff0}.bytes()},
      {"array promises too much", Zip{.plain = npy_of("|u1", "(4000000000,)", "abc"), .deflated = true}.bytes()},
  };
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  for (const auto& [what, bytes] : corpus) {
    INFO(what);
    testing::write_file(folder.file("x.npz"), bytes);
    CHECK_THROWS_MATCHES(load_npz(folder.file("x.npz")), IoError, MessageContains("load_npz", "x.npz", "fix: "));
  }
  CHECK(allocator_statistics().peak_bytes - live < 4096);
}

TEST_CASE("an error names the archive's file and the array, not the format that it is packed in") {
  const TemporaryFolder folder;
  const std::string plain = npy_of("|u1", "(3,)", "abc");
  for (const Zip& zip :
       {Zip{.plain = "hello"}, Zip{.plain = npy_of("|O", "(3,)", "abc")}, Zip{.plain = plain + "x"},
        Zip{.checksum_error = 1}, Zip{.name = "x.npy.txt"}, Zip{.plain = npy_of("|u1", "(9,)", "abc")}})
    CHECK_THROWS_MATCHES(load_archive(folder, zip.bytes()), IoError,
                         MessageContains("load_npz: ", folder.file("x.npz"), "x.npy"));
  CHECK_THROWS_MATCHES(save_npz(folder.file("a.npz"), {{std::string(70000, 'x'), ones({1})}}), InvalidArgument,
                       MessageContains("save_npz: ", folder.file("a.npz"), "xxx", "65535", "70004", "fix: "));
  CHECK_THROWS_MATCHES(save_npz(folder.file("a.npz"), {{"a\0b"s, ones({1})}}), InvalidArgument,
                       MessageContains("save_npz: ", "zero byte", "fix: "));
  CHECK(folder.num_files() == 1);
}

TEST_CASE("members that share bytes are refused, for they could claim any amount of memory") {
  const TemporaryFolder folder;
  const std::string one = Zip{.deflated = true}.bytes();
  const std::size_t begin = one.find("PK\x01\x02"), end = one.find("PK\x05\x06");
  const std::string central = one.substr(begin, end - begin);
  std::string other = central;
  other[other.size() - 5] = 'y';
  const std::string bytes = one.substr(0, begin) + central + other + "PK\x05\x06" + u32(0) + u16(2) + u16(2) +
                            u32(2 * central.size()) + u32(begin) + u16(0);
  CHECK_THROWS_AS(load_archive(folder, bytes), IoError);
}

TEST_CASE("changing any byte of an npy file or an archive gives tensors or an error") {
  const TemporaryFolder folder;
  save_npz(folder.file("a"), {{"x", tensor({1, 2})}, {"y", tensor({true})}});
  save_npy(folder.file("b"), tensor({{1, 2}, {3, 4}}));
  std::mt19937 random(12);
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  int errors = 0, all = 0;
  const auto attempt = [&](const std::string& bytes, auto&& load) {
    ++all;
    try {
      (void)load(folder, bytes);
    } catch (const IoError&) {
      ++errors;
    }
  };
  const auto mutate = [&](const std::string& good, auto&& load) {
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (char c : {static_cast<char>(good[i] ^ 1 << random() % 8), static_cast<char>(random()),
                     "(),:'<>|09 \xff"[random() % 13]}) {
        std::string bytes = good;
        bytes[i] = c;
        attempt(bytes, load);
      }
      attempt(good.substr(0, i), load);
    }
  };
  mutate(testing::read_file(folder.file("b")), load_bytes);
  mutate(testing::read_file(folder.file("a")), load_archive);
  mutate(Zip{.deflated = true}.bytes(), load_archive);
  CHECK(errors > all / 4);
  CHECK(allocator_statistics().peak_bytes - live < (1 << 20));
}

TEST_CASE("numpy and dygrad read each other's files") {
  const std::optional<std::string> python = testing::find_python("numpy");
  if (!python) {
    WARN("skipped: no Python with numpy; name one in DYGRAD_PYTHON");
    SUCCEED();
    return;
  }
  const TemporaryFolder folder;
  save_npz(folder.file("ours.npz"), every_dtype());
  for (const auto& [name, x] : every_dtype()) save_npy(folder.file(name + ".npy"), x);
  REQUIRE(testing::run_python(*python, folder, R"(
import numpy as np
wanted = {'f4': np.array([[1.5, -2], [np.inf, 1e-40]], 'f4'), 'f8': np.array([1e300, -0.1]),
          'i8': np.array([-2**63, -1, 2**63 - 1]), 'u1': np.array([0, 128, 255], 'u1'),
          'b1': np.array([True, False, True]), 'scalar': np.array(3.25, 'f4'), 'empty': np.zeros((0, 3), 'i8'),
          'gr\u00f6\u00dfe': np.ones((1,) * 6, 'f4')}
x = np.load('ours.npz', allow_pickle=False)
assert list(x) == list(wanted), list(x)
for name, y in wanted.items():
    for z in x[name], np.load(name + '.npy', allow_pickle=False):
        assert z.dtype == y.dtype and z.shape == y.shape and (z == y).all(), name
    np.save('their_' + name + '.npy', y)
np.savez('stored.npz', **wanted)
np.savez_compressed('deflated.npz', **wanted)
np.save('fortran.npy', np.asfortranarray(np.arange(24).reshape(2, 3, 4)))
np.savez_compressed('more.npz', big=np.arange(5, dtype='>i4'), half=np.float16([1, -2]), zeros=np.zeros(10**6))
)"));
  check_equal(load_npz(folder.file("stored.npz")), every_dtype());
  check_equal(load_npz(folder.file("deflated.npz")), every_dtype());
  for (const auto& [name, x] : every_dtype()) check_equal(load_npy(folder.file("their_" + name + ".npy")), x);
  check_equal(load_npy(folder.file("fortran.npy")), view::reshape(arange(24), {2, 3, 4}).value());
  check_equal(load_npz(folder.file("more.npz")),
              {{"big", arange(5)}, {"half", tensor({1., -2.})}, {"zeros", zeros({1000000}, float64)}});
}
