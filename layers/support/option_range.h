// Checks of the numbers that optimizers, clips and schedules are made of. For their .cpp files.
#pragma once

#include <cmath>
#include <string_view>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad::detail {

/// Throws InvalidArgument naming option, range and value unless `holds`. A NaN holds nothing.
inline void require_option(std::string_view op, bool holds, std::string_view expected, std::string_view option,
                           double got) {
  if (holds) return;
  throw InvalidArgument(Message(op, "{} is out of range.", option)
                            .expected("{}", expected)
                            .got("{}", got)
                            .fix("choose {} within that range", option));
}

inline bool is_rate(double value) { return value >= 0 && std::isfinite(value); }

}  // namespace dygrad::detail
