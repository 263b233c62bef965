// Where bytes live. Only the CPU today; storage, allocation and copies already ask.
#pragma once

#include <cstdint>
#include <string_view>

namespace dygrad {

struct Device {
  enum class Kind : std::uint8_t { cpu };
  Kind kind = Kind::cpu;

  constexpr std::string_view name() const { return "cpu"; }
  constexpr bool is_host() const { return kind == Kind::cpu; }
  bool operator==(const Device&) const = default;
};

}  // namespace dygrad
