// What this machine can do, measured in the same run: the product rate and the stream bandwidth behind every "floor".
#pragma once

#include <algorithm>

#include <dygrad/core/base/dtype.h>
#include <dygrad/tests/bench/support/program.h>

namespace dygrad::bench {

struct Calibration {
  double flop_per_second = 0;   ///< of the fastest dense product seen, in the dtype asked for
  double bytes_per_second = 0;  ///< of a loop that reads one array and writes another, both counted

  /// No algorithm that computes `flop` and touches `bytes` once takes less seconds.
  double floor(double flop, double bytes) const { return std::max(flop / flop_per_second, bytes / bytes_per_second); }
  Json to_json() const { return {{"gflops", flop_per_second / 1e9}, {"stream_gb_per_s", bytes_per_second / 1e9}}; }
};

/// The plain copy loop: reads one array of 64 MiB and writes another, 4 MiB if `quick`. `bytes` counts both.
struct Stream {
  Timing timing;
  double bytes = 0;
};
Stream time_stream(bool quick);

/// Square products of 1024 to 2048 through matmul, and the loop above.
Calibration calibrate(DType dtype, bool quick);

}  // namespace dygrad::bench
