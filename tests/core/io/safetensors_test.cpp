#include <dygrad/core/io/safetensors.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/python.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace dygrad;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;

namespace {

std::string with_header(const std::string& header, const std::string& data = {}) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

SafetensorsFile load_bytes(const TemporaryFolder& folder, const std::string& bytes) {
  testing::write_file(folder.file("x"), bytes);
  return load_safetensors(folder.file("x"));
}

/// One float32 tensor [2] with these fields in place of the right ones.
std::string entry(const std::string& dtype = R"("F32")", const std::string& shape = "[2]",
                  const std::string& offsets = "[0,8]") {
  return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

NamedTensors every_dtype() {
  return {{"float32", tensor({{1.5, -2.}, {INFINITY, 1e-40}})},
          {"float64", tensor({1e300, -0.1}, float64)},
          {"int64", tensor({std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                            std::numeric_limits<std::int64_t>::max()})},
          {"uint8", tensor({0, 128, 255}, uint8)},
          {"bool", tensor({true, false, true})},
          {"scalar", tensor(3.25)},
          {"empty", zeros({0, 3}, int64)},
          {"gr\xc3\xb6\xc3\x9f"
           "e \"quoted\"\n",
           ones({1, 1, 1, 1, 1, 1})},
          {"", ones({2})}};
}

void check_equal(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("tensor " << a[i].first);
    CHECK(a[i].first == b[i].first);
    CHECK(a[i].second.dtype() == b[i].second.dtype());
    CHECK(a[i].second.shape() == b[i].second.shape());
    dispatch_all(a[i].second.dtype(),
                 [&]<class T>() { CHECK(a[i].second.to_vector<T>() == b[i].second.to_vector<T>()); });
  }
}

}  // namespace

TEST_CASE("safetensors keep names, order, shapes, every dtype and metadata") {
  const TemporaryFolder folder;
  const Metadata metadata{{"epoch", "3"}, {"note", "\xe2\x82\xac \"x\"\t"}, {"", ""}};
  save_safetensors(folder.file("a"), every_dtype(), metadata);
  const SafetensorsFile file = load_safetensors(folder.file("a"));
  check_equal(file.tensors, every_dtype());
  CHECK(file.metadata == metadata);
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a file without tensors is a file") {
  const TemporaryFolder folder;
  save_safetensors(folder.file("a"), {});
  CHECK(load_safetensors(folder.file("a")).tensors.empty());
  CHECK(load_bytes(folder, with_header("{}")).metadata.empty());
}

TEST_CASE("tensors of any strides are saved by value, and offsets of views are honoured") {
  const TemporaryFolder folder;
  const Tensor x = uniform({4, 5});
  const Tensor turned = view::transpose(x, 0, 1);
  const Tensor part = view::select(x, 0, 2);
  const Tensor repeated = view::expand(view::slice(x, 1, 1, 2), {4, 3});
  save_safetensors(folder.file("a"), {{"turned", turned}, {"part", part}, {"repeated", repeated}});
  check_equal(load_safetensors(folder.file("a")).tensors, {{"turned", turned}, {"part", part}, {"repeated", repeated}});
}

TEST_CASE("what cannot be saved is refused and leaves the old file whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save_safetensors(path, {{"x", ones({2})}});
  const std::string before = testing::read_file(path);
  CHECK_THROWS_MATCHES(save_safetensors(path, {{"x", ones({1})}, {"x", ones({1})}}), InvalidArgument,
                       MessageContains("one name", "\"x\""));
  CHECK_THROWS_MATCHES(save_safetensors(path, {{"y", Tensor()}}), InvalidArgument,
                       MessageContains("undefined", "\"y\""));
  CHECK_THROWS_AS(save_safetensors(path, {{"__metadata__", ones({1})}}), InvalidArgument);
  CHECK_THROWS_MATCHES(save_safetensors(path, {{"x", ones({1})}, {"n\xff", ones({1})}}), InvalidArgument,
                       MessageContains("the name of tensor 1 is not UTF-8", "got \"n\\xff\""));
  CHECK_THROWS_MATCHES(save_safetensors(path, {}, {{"key", "\xc3"}}), InvalidArgument,
                       MessageContains("the metadata of key \"key\" is not UTF-8", "\"\\xc3\""));
  CHECK_THROWS_MATCHES(save_safetensors(path, {}, {{"\xc3", "value"}}), InvalidArgument,
                       MessageContains("a key of the metadata is not UTF-8"));
  CHECK_THROWS_MATCHES(save_safetensors(folder.file("none/a"), {}), IoError, MessageContains("none/a", "No such file"));
  CHECK(testing::read_file(path) == before);
  CHECK(folder.num_files() == 1);
}

TEST_CASE("types that dygrad lacks are widened exactly") {
  const TemporaryFolder folder;
  const auto load = [&](const std::string& dtype, const std::string& shape, const std::string& data) {
    return load_bytes(
               folder,
               with_header("{\"x\":" + entry('"' + dtype + '"', shape, "[0," + std::to_string(data.size()) + "]") + "}",
                           data))
        .tensors.at(0)
        .second;
  };
  using namespace std::string_literals;
  const Tensor half = load("F16", "[7]", "\x00\x3c\x00\xc0\x01\x00\xff\x7b\x00\x7c\x00\x80\x01\xfc"s);
  CHECK(half.dtype() == float32);
  const std::vector<float> halves = half.to_vector<float>();
  CHECK(std::vector<float>(halves.begin(), halves.begin() + 5) == std::vector<float>{1, -2, 0x1p-24F, 65504, INFINITY});
  CHECK(std::signbit(halves[5]));
  CHECK(std::isnan(halves[6]));
  CHECK(load("BF16", "[2]", "\x80\x3f\x40\xc0"s).to_vector<float>() == std::vector<float>{1, -3});
  CHECK(load("I8", "[2]", "\x80\x7f"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{-128, 127});
  CHECK(load("I16", "[1]", "\x00\x80"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{-32768});
  CHECK(load("U16", "[1]", "\xff\xff"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{65535});
  CHECK(load("I32", "[1]", "\xfe\xff\xff\xff"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{-2});
  CHECK(load("U32", "[1]", "\xfe\xff\xff\xff"s).to_vector<std::int64_t>() == std::vector<std::int64_t>{4294967294});
  CHECK_THROWS_MATCHES(load("U64", "[1]", "\0\0\0\0\0\0\0\0"s), IoError,
                       MessageContains("\"x\"", "U64", "I64 or BOOL"));
  CHECK_THROWS_AS(load("F8_E4M3", "[1]", "\0"s), IoError);
  CHECK_THROWS_MATCHES(load("BOOL", "[1]", "\x02"s), IoError, MessageContains("0 or 1"));
}

TEST_CASE("every malformed safetensors file is an error that names the file") {
  const TemporaryFolder folder;
  const std::string data(8, '\0');
  const auto one = [&](const std::string& text) { return with_header(R"({"x":)" + text + "}", data); };
  const std::string good = one(entry());
  REQUIRE(load_bytes(folder, good).tensors.size() == 1);

  std::string endless = with_header("{}");
  std::memset(endless.data(), 0xff, 8);
  std::string over_limit = with_header("{}");
  const std::uint64_t length = 100'000'001;
  std::memcpy(over_limit.data(), &length, 8);
  std::string past_end = with_header("{}");
  past_end[0] = 3;

  const std::vector<std::pair<std::string, std::string>> corpus{
      {"empty file", ""},
      {"seven bytes", std::string(7, '\0')},
      {"no header", std::string(8, '\0')},
      {"endless header", endless},
      {"header over the limit", over_limit},
      {"header past the end", past_end},
      {"no object", with_header("[]")},
      {"space before the object", with_header(" {}")},
      {"text after the object", with_header("{}x")},
      {"zero bytes after the object", with_header(std::string("{}\0\0", 4))},
      {"cut JSON", with_header(R"({"x":)")},
      {"not JSON", with_header("{x}")},
      {"invalid UTF-8", with_header("{\"\xff\":" + entry() + "}", data)},
      {"overlong UTF-8", with_header("{\"\xc0\xaf\":" + entry() + "}", data)},
      {"lone surrogate", with_header("{\"\\ud800\":" + entry() + "}", data)},
      {"deep arrays", with_header("{\"x\":" + std::string(100000, '['))},
      {"deep objects",
       [&] {
         std::string text;
         for (int i = 0; i < 100000; ++i) text += "{\"x\":";
         return with_header(text);
       }()},
      {"entry is a number", one("1")},
      {"entry is null", one("null")},
      {"entry is an array", one("[]")},
      {"entry is a string", one("\"F32\"")},
      {"entry is empty", one("{}")},
      {"unknown field", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})")},
      {"field twice", one(R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})")},
      {"offsets missing", one(R"({"dtype":"F32","shape":[2]})")},
      {"dtype unknown", one(entry("\"F33\""))},
      {"dtype is a number", one(entry("32"))},
      {"shape is a number", one(entry("\"F32\"", "2"))},
      {"shape nested", one(entry("\"F32\"", "[[2]]"))},
      {"shape negative", one(entry("\"F32\"", "[-2]"))},
      {"shape fractional", one(entry("\"F32\"", "[2.0]"))},
      {"shape with a string", one(entry("\"F32\"", "[\"2\"]"))},
      {"shape with a boolean", one(entry("\"F32\"", "[true]"))},
      {"shape beyond int64", one(entry("\"F32\"", "[9223372036854775808]"))},
      {"shape beyond uint64", one(entry("\"F32\"", "[99999999999999999999]"))},
      {"shape overflows", one(entry("\"F32\"", "[4294967296,4294967296,2]"))},
      {"bytes overflow", one(entry("\"F64\"", "[4611686018427387904]"))},
      {"empty but overflowing", one(entry("\"F32\"", "[0,4294967296,4294967296]", "[0,0]"))},
      {"seven dimensions", one(entry("\"F32\"", "[1,1,1,1,1,1,2]"))},
      {"huge shape", one(entry("\"F32\"", "[1000000000000]"))},
      {"huge shape and offsets", one(entry("\"F32\"", "[1000000000000]", "[0,4000000000000]"))},
      {"offsets too few", one(entry("\"F32\"", "[2]", "[8]"))},
      {"offsets too many", one(entry("\"F32\"", "[2]", "[0,8,8]"))},
      {"offsets reversed", one(entry("\"F32\"", "[2]", "[8,0]"))},
      {"offsets negative", one(entry("\"F32\"", "[2]", "[-8,0]"))},
      {"offsets past the end", one(entry("\"F32\"", "[2]", "[8,16]"))},
      {"offsets wrap", one(entry("\"F32\"", "[2]", "[18446744073709551608,18446744073709551615]"))},
      {"hole at the start", with_header("{\"x\":" + entry("\"F32\"", "[2]", "[1,9]") + "}", data + "x")},
      {"shape smaller than offsets", one(entry("\"F32\"", "[1]"))},
      {"overlap",
       with_header(R"({"x":)" + entry() + R"(,"y":)" + entry("\"F32\"", "[2]", "[4,12]") + "}", data + "1234")},
      {"same bytes twice", with_header(R"({"x":)" + entry() + R"(,"y":)" + entry() + "}", data)},
      {"hole between",
       with_header(R"({"x":)" + entry() + R"(,"y":)" + entry("\"F32\"", "[2]", "[9,17]") + "}", data + data + "1")},
      {"name twice", with_header(R"({"x":)" + entry() + R"(,"x":)" + entry("\"F32\"", "[0]", "[8,8]") + "}", data)},
      {"trailing bytes", good + "x"},
      {"data cut", good.substr(0, good.size() - 1)},
      {"metadata is a string", with_header(R"({"__metadata__":"x"})")},
      {"metadata with a number", with_header(R"({"__metadata__":{"a":1}})")},
      {"metadata nested", with_header(R"({"__metadata__":{"a":{"b":"c"}}})")},
      {"metadata key twice", with_header(R"({"__metadata__":{"a":"1","a":"2"}})")},
      {"metadata twice", with_header(R"({"__metadata__":{},"__metadata__":{}})")},
  };
  const std::int64_t live = allocator_statistics().live_bytes;
  reset_peak_bytes();
  for (const auto& [what, bytes] : corpus) {
    INFO(what);
    testing::write_file(folder.file("x"), bytes);
    CHECK_THROWS_MATCHES(load_safetensors(folder.file("x")), IoError,
                         MessageContains("load_safetensors", folder.file("x"), "fix: "));
  }
  CHECK_THROWS_MATCHES(load_safetensors(folder.file("none")), IoError, MessageContains("none", "No such file"));
  CHECK_THROWS_AS(load_safetensors(folder.path()), IoError);
  CHECK(allocator_statistics().live_bytes == live);
  CHECK(allocator_statistics().peak_bytes - live < 4096);
}

TEST_CASE("changing any byte of a safetensors file gives a file or an error, never a crash or much memory") {
  const TemporaryFolder folder;
  save_safetensors(folder.file("a"), {{"x", tensor({1.5, -2.})}, {"y", tensor({{true}})}}, {{"epoch", "3"}});
  const std::string good = testing::read_file(folder.file("a"));
  std::mt19937 random(11);
  int errors = 0;
  reset_peak_bytes();
  const std::int64_t live = allocator_statistics().live_bytes;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int round = 0; round < 3; ++round) {
      std::string bytes = good;
      if (round < 2)
        bytes[i] = round == 0 ? static_cast<char>(bytes[i] ^ 1 << random() % 8) : "{}[]\",:0-9 e\\"[random() % 13];
      else bytes.resize(i);
      try {
        (void)load_bytes(folder, bytes);
      } catch (const IoError&) {
        ++errors;
      }
    }
  }
  CHECK(errors > static_cast<int>(good.size()));
  CHECK(allocator_statistics().peak_bytes - live < 64 * static_cast<std::int64_t>(good.size()));
}

TEST_CASE("Python's safetensors and dygrad read each other's files") {
  const std::optional<std::string> python = testing::find_python("numpy, safetensors.numpy");
  if (!python) {
    WARN("skipped: no Python with numpy and safetensors; name one in DYGRAD_PYTHON");
    SUCCEED();
    return;
  }
  const TemporaryFolder folder;
  NamedTensors tensors = every_dtype();
  save_safetensors(folder.file("ours"), tensors, {{"epoch", "3"}, {"unit", "\xe2\x82\xac"}});
  REQUIRE(testing::run_python(*python, folder, R"(
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
x = load_file('ours')
wanted = {'float32': np.array([[1.5, -2], [np.inf, 1e-40]], 'f4'), 'float64': np.array([1e300, -0.1]),
          'int64': np.array([-2**63, -1, 2**63 - 1]), 'uint8': np.array([0, 128, 255], 'u1'),
          'bool': np.array([True, False, True]), 'scalar': np.array(3.25, 'f4'), 'empty': np.zeros((0, 3), 'i8'),
          'gr\u00f6\u00dfe "quoted"\n': np.ones((1,) * 6, 'f4'), '': np.ones(2, 'f4')}
assert set(x) == set(wanted)
for name, y in wanted.items():
    assert x[name].dtype == y.dtype and x[name].shape == y.shape and (x[name] == y).all(), name
with safe_open('ours', 'np') as f:
    assert f.metadata() == {'epoch': '3', 'unit': '\u20ac'}
theirs = dict(wanted)
theirs['half'] = np.array([1, -2, 2**-24, 65504], 'f2')
for kind in ['i1', 'i2', 'u2', 'i4', 'u4']:
    theirs[kind] = np.array([np.iinfo(kind).min, 5, np.iinfo(kind).max], kind)
save_file(theirs, 'theirs', {'from': 'Python'})
)"));
  const SafetensorsFile theirs = load_safetensors(folder.file("theirs"));
  CHECK(theirs.metadata == Metadata{{"from", "Python"}});
  tensors.emplace_back("half", tensor({1., -2., 0x1p-24, 65504.}));
  tensors.emplace_back("i1", tensor({-128, 5, 127}));
  tensors.emplace_back("i2", tensor({-32768, 5, 32767}));
  tensors.emplace_back("u2", tensor({0, 5, 65535}));
  tensors.emplace_back("i4", tensor({-2147483648LL, 5LL, 2147483647LL}));
  tensors.emplace_back("u4", tensor({0LL, 5LL, 4294967295LL}));
  NamedTensors sorted = theirs.tensors;
  const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::sort(sorted.begin(), sorted.end(), by_name);
  std::sort(tensors.begin(), tensors.end(), by_name);
  check_equal(sorted, tensors);
}

TEST_CASE("a file of another kind is called no safetensors file") {
  const TemporaryFolder folder;
  const auto says = MessageContains("this is no safetensors file", "fix");
  CHECK_THROWS_MATCHES(load_bytes(folder, "epoch,loss\n0,1.5\n1,0.75\n"), IoError, says);
  CHECK_THROWS_MATCHES(load_bytes(folder, std::string("\x93NUMPY\x01\x00", 8) + std::string(64, ' ')), IoError, says);
  CHECK_THROWS_MATCHES(load_bytes(folder, with_header("a text")), IoError, says);
  CHECK_THROWS_MATCHES(load_bytes(folder, with_header("{}").substr(0, 9)), IoError,
                       MessageContains("or a part of one", "fix"));
}
