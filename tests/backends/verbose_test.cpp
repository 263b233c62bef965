// What DYGRAD_VERBOSE prints about a kernel call, and through it: which implementations are used.
#include <cstdlib>
#include <regex>

#include <dygrad/core/base/verbose.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Collects verbose lines while it lives.
struct Recorder {
  std::vector<std::string> lines;

  Recorder() {
    set_verbose_sink([this](std::string_view line) { lines.emplace_back(line); });
    set_verbose(true);
  }
  ~Recorder() {
    set_verbose(false);
    set_verbose_sink({});
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
};

template <class F>
std::vector<std::string> lines_of(const F& f) {
  Recorder recorder;
  f();
  return recorder.lines;
}

bool is_forced() { return std::getenv("DYGRAD_BACKEND") != nullptr; }

Tensor run_selected(const ConvOperands& in, Kind kind) {
  const Conv2DParams p = in.shape.params();
  return in.run(select_backend({.kind = kind,
                                .dtype = in.x.dtype(),
                                .conv = &p,
                                .x = in.shape.x_shape(),
                                .w = in.shape.w_shape(),
                                .y = in.shape.y_shape()}),
                kind);
}

}  // namespace

TEST_CASE("every kernel call makes one verbose line: op, problem, backend, algorithm, microseconds") {
  constexpr ConvShape kShape{"asymmetric", 2, 4, 5, 6, 8, 3, 4, 2, 1, 1, 0, 2, 1, 2, 1, 0};
  const std::string problem = "float32:mb2_g2ic4oc8_ih5oh12kh3sh2dh1ph1_iw6ow9kw4sw1dw0pw0";
  for (const std::string_view name : backend_names()) {
    const ConvOperands in(kShape, float32, random_values);
    for (const Kind kind : kDirections) {
      if (!supports(backend(name), kShape, kind, float32)) continue;
      const auto lines = lines_of([&] { in.run(backend(name), kind); });
      REQUIRE(lines.size() == 1);
      INFO(lines[0]);
      const std::string op(name_of(kind));
      CHECK(std::regex_match(
          lines[0], std::regex("dygrad," + op + "," + problem + "," + std::string(name) + R"(,[^,]+,\d+\.\d)")));
    }
  }
}

TEST_CASE("products make a verbose line too") {
  const Tensor a = ones({5, 2, 3}), b = ones({5, 3, 4});
  for (const std::string_view name : backend_names()) {
    const auto lines = lines_of([&] { backend(name).matmul(a, b); });
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], StartsWith("dygrad,matmul,float32:5x2x3:5x3x4," + std::string(name) + ","));
  }
}

TEST_CASE("nothing is printed unless asked") {
  const ConvOperands in(kSmallShapes[0], float32, random_values);
  std::size_t lines = 0;
  set_verbose_sink([&](std::string_view) { ++lines; });
  for (const std::string_view name : backend_names()) in.run(backend(name), Kind::conv2d_transpose);
  set_verbose_sink({});
  CHECK(lines == 0);
}

TEST_CASE("no problem at all is given to a stand-in of oneDNN") {
  if (is_forced()) {
    SUCCEED("a backend is forced");
    return;
  }
  std::vector<ConvShape> shapes(std::begin(kSmallShapes), std::end(kSmallShapes));
  shapes.insert(shapes.end(), std::begin(kLayerShapes), std::end(kLayerShapes));
  for (const ConvShape& shape : shapes) {
    const ConvOperands in(shape, float32, random_values);
    for (const Kind kind : kDirections) {
      const auto lines = lines_of([&] { run_selected(in, kind); });
      REQUIRE(lines.size() == 1);
      INFO(shape << ": " << lines[0]);
      CHECK((lines[0].find(",onednn,") == std::string::npos || lines[0].find("ref") == std::string::npos));
    }
  }
}
