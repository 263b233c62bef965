// What backends keep between calls: converted weights, and compiled primitives. Neither may go stale, nor grow.
#include <cstdio>

#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr ConvShape kShape{"layer", 2, 32, 6, 6, 48, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1};

/// Runs f and returns how many more bytes of tensors live afterwards.
template <class F>
std::int64_t bytes_left_by(const F& f) {
  const std::int64_t before = allocator_statistics().live_bytes;
  f();
  return allocator_statistics().live_bytes - before;
}

/// Memory of this process in main memory, in bytes.
std::int64_t resident_bytes() {
  long long total = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lld %lld", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * 4096;
}

void check_current(const ConvOperands& in) {
  for (const std::string_view name : backend_names()) {
    for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) {
      INFO(name << ", " << name_of(kind));
      CHECK(identical(in.run(backend(name), kind), in.run(backend("reference"), kind)));
    }
  }
}

/// Images of several sizes and paddings for the same weights.
std::vector<ConvOperands> images_for_one_layer(ConvShape shape, DType dtype, std::mt19937& engine) {
  const auto any = [&](std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(engine() % static_cast<std::uint32_t>(last - first + 1));
  };
  const Tensor w = random_integers(shape.w_shape(), dtype, 2);
  std::vector<ConvOperands> images;
  while (images.size() < 4) {
    shape.h = any(1, 7), shape.w = any(1, 7), shape.ph = any(0, 3), shape.pw = any(0, 3);
    shape.extra_h = any(0, shape.sh - 1), shape.extra_w = any(0, shape.sw - 1);
    if (shape.oh() < 1 || shape.ow() < 1) continue;
    images.emplace_back(shape, random_integers(shape.x_shape(), dtype, 1), w,
                        random_integers(shape.y_shape(), dtype, 3));
  }
  return images;
}

/// The weights give what a copy of them gives, for which nothing is packed yet.
void check_packed(const ConvOperands& in, const Algorithm& algorithm) {
  ConvOperands fresh = in;
  fresh.w = kernel::clone(in.w);
  for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) {
    if (!supports(algorithm, in.shape, kind, in.x.dtype())) continue;
    INFO(name_of(kind) << ", " << in.shape.h << " x " << in.shape.w << " to " << in.shape.oh() << " x "
                       << in.shape.ow());
    CHECK(identical(in.run(algorithm, kind), fresh.run(algorithm, kind)));
  }
}

}  // namespace

TEST_CASE("an in-place change of the weights is seen by the next call") {
  ConvOperands in(kShape, float32, random_integers);
  check_current(in);
  in.w.set_value(random_integers(kShape.w_shape(), float32, 11));
  check_current(in);
  in.w.fill(2);
  check_current(in);
  in.w.write<float>()[0] = -3;
  check_current(in);
  view::select(in.w, 0, 5).fill(1);  // through a view that shares the storage
  check_current(in);
}

TEST_CASE("weights packed for images of one size are not taken for those of another") {
  std::mt19937 engine(3);
  for (const ConvShape& shape : kSmallShapes) {
    if (shape.n == 0) continue;  // a backend keeps these from its algorithms
    for (const DType dtype : {float32, float64}) {
      const std::vector<ConvOperands> images = images_for_one_layer(shape, dtype, engine);
      for (const auto& backend : all_backends()) {
        for (const Algorithm* algorithm : backend->algorithms()) {
          INFO(backend->name() << ":" << algorithm->name() << ", " << shape << ", " << name_of(dtype));
          for (int call = 0; call < 12; ++call) check_packed(images[engine() % images.size()], *algorithm);
        }
      }
    }
  }
}

TEST_CASE("converted weights die with the weights") {
  for (const std::string_view name : backend_names()) {
    INFO(name);
    const std::int64_t left = bytes_left_by([&] {
      const ConvOperands in(kShape, float32, random_values);
      for (int use = 0; use < 2; ++use) {
        for (const Kind kind : kDirections) in.run(backend(name), kind);
      }
    });
    CHECK(left == 0);
  }
}

TEST_CASE("converted weights die when the weights change") {
  for (const std::string_view name : backend_names()) {
    INFO(name);
    ConvOperands in(kShape, float32, random_values);
    const std::int64_t left = bytes_left_by([&] {
      for (int use = 0; use < 2; ++use) {
        for (const Kind kind : kDirections) in.run(backend(name), kind);
      }
      in.w.fill(1);
    });
    CHECK(left == 0);
  }
}

TEST_CASE("weights are converted twice per version, not once per call") {
  const ConvOperands in(kShape, float32, random_values);
  for (const std::string_view name : backend_names()) {
    for (int use = 0; use < 2; ++use) {
      for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) in.run(backend(name), kind);
    }
    INFO(name);
    CHECK(bytes_left_by([&] {
            for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) in.run(backend(name), kind);
          }) == 0);
  }
}

TEST_CASE("converted weights that are used once are not kept") {
  for (const std::string_view name : backend_names()) {
    INFO(name);
    const ConvOperands in(kShape, float32, random_values);
    CHECK(bytes_left_by([&] {
            for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) in.run(backend(name), kind);
          }) == 0);
  }
}

TEST_CASE("conversions of many views and many versions of one storage stay few") {
  for (const std::string_view name : backend_names()) {
    INFO(name);
    Tensor many = random_values({40 * 32, 48, 3, 3}, float32, 12);
    const std::int64_t bytes_of_one = kShape.w_shape()[0] * 48 * 9 * 4;
    ConvOperands in(kShape, float32, random_values);
    const std::int64_t left = bytes_left_by([&] {
      for (std::int64_t part = 0; part < 40; ++part) {
        in.w = view::slice(many, 0, part * 32, (part + 1) * 32);
        for (int use = 0; use < 2; ++use) {
          for (const Kind kind : {Kind::conv2d_transpose, Kind::conv2d}) in.run(backend(name), kind);
        }
      }
    });
    CHECK(left <= 4 * 2 * bytes_of_one);  // four conversions, each padded to less than twice its size

    for (int version = 0; version < 10; ++version) {
      many.fill(version);
      in.run(backend(name), Kind::conv2d_transpose);
    }
    CHECK(bytes_left_by([&] {
            many.fill(77);
            in.run(backend(name), Kind::conv2d_transpose);
          }) == 0);
  }
}

TEST_CASE("memory stays flat over ten thousand calls of changing shapes", "[slow]") {
  std::mt19937 engine(13);
  const auto below = [&](std::uint32_t limit) { return 1 + static_cast<std::int64_t>(engine() % limit); };
  std::int64_t settled = 0;
  const std::int64_t live = bytes_left_by([&] {
    for (int call = 0; call < 10000; ++call) {
      const ConvShape shape{"changing", below(3), below(24), below(12), below(12), below(24),
                            below(4),   below(4), below(3),  below(3),  0,         0,
                            1,          1,        1,         0,         0};
      const ConvOperands in(shape, float32, random_values);
      const Kind kind = kDirections[call % 3];
      if (supports(backend(backend_names().front()), shape, kind, float32))
        in.run(backend(backend_names().front()), kind);
      if (call == 3000) settled = resident_bytes();
    }
  });
  CHECK(live == 0);
  // Both our cache of primitives (256) and oneDNN's own (1024) are full after 3000 shapes; 7000 more leave no trace but
  // noise.
  CHECK(resident_bytes() - settled < 16 << 20);
}
