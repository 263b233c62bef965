#include "shapes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>

namespace {

// A shape is a function of a point that is negative inside and gives about the distance to the edge; it fills the
// square from -1 to 1.
float disc(float x, float y) { return std::hypot(x, y) - 1; }
float box(float x, float y) { return std::max(std::abs(x), std::abs(y)) - 0.85F; }
float rim(float distance) { return std::abs(distance + 0.2F) - 0.2F; }
float ring(float x, float y) { return rim(disc(x, y)); }
float frame(float x, float y) { return rim(box(x, y)); }
float bar(float x, float y) { return std::max(std::abs(x) - 1, std::abs(y) - 0.3F); }
float cross(float x, float y) { return std::min(bar(x, y), bar(y, x)); }
float triangle(float x, float y) { return std::max(0.866F * std::abs(x) + 0.5F * y, -y) - 0.5F; }
float moon(float x, float y) { return std::max(disc(x, y), 0.75F - std::hypot(x - 0.55F, y)); }
float pair(float x, float y) { return std::hypot(std::abs(x) - 0.6F, y) - 0.4F; }
float flower(float x, float y) { return std::hypot(x, y) - 0.75F - 0.25F * std::cos(5 * std::atan2(y, x)); }

struct Kind {
  const char* name;
  float (*distance)(float x, float y);
};
constexpr Kind kKinds[] = {{"disc", disc}, {"ring", ring},    {"square", box},        {"frame", frame},
                           {"bar", bar},   {"cross", cross},  {"triangle", triangle}, {"moon", moon},
                           {"pair", pair}, {"flower", flower}};
constexpr std::int64_t kSide = 28;

}  // namespace

Drawings draw_shapes(std::int64_t count, std::uint64_t seed) {
  dygrad::Generator generator(seed);
  const auto labels = dygrad::randint({count}, 0, std::size(kKinds), &generator);
  const auto kinds = labels.read<std::int64_t>();
  const auto random = dygrad::uniform({count, 5}, 0, 1, {.generator = &generator});
  auto images = dygrad::Tensor::empty({count, 1, kSide, kSide}, dygrad::uint8);
  std::uint8_t* pixel = images.write<std::uint8_t>().data();
  for (std::int64_t n = 0; n < count; ++n) {
    const float* r = random.read<float>().data() + 5 * n;
    const float radius = 5 + 5 * r[0], angle = 2 * std::numbers::pi_v<float> * r[1];
    const float center_x = 14 + 6 * (r[2] - 0.5F), center_y = 14 + 6 * (r[3] - 0.5F), brightness = 130 + 125 * r[4];
    const float c = std::cos(angle) / radius, s = std::sin(angle) / radius;
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const float dx = static_cast<float>(x) + 0.5F - center_x, dy = static_cast<float>(y) + 0.5F - center_y;
        const float distance = radius * kKinds[kinds[n]].distance(c * dx + s * dy, c * dy - s * dx);
        *pixel++ = static_cast<std::uint8_t>(brightness * std::clamp(0.5F - distance, 0.F, 1.F));
      }
    }
  }
  return {images, labels};
}

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}
