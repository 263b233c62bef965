// The element type that an algorithm multiplies: scalars of the problem's dtype, or VNNI pairs of bfloat16. Each
// algorithm that can do both is listed once for each.
#pragma once

#include <string>

#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/native/packing/bf16_packing.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

class Precision {
 public:
  explicit constexpr Precision(MathMode math_mode) : bf16_(math_mode == MathMode::bfloat16) {}

  /// Operands are rounded only where the problem allows it and the processor has the instructions.
  bool supports(const Problem& problem) const {
    if (!fits_offsets(conv2d_sizes(problem))) return false;
    if (!bf16_) return is_floating(problem.dtype);
    return problem.dtype == DType::float32 && problem.math_mode == MathMode::bfloat16 && multiplies_bf16_pairs();
  }
  const char* instruction_set() const {
    return bf16_ ? kernels<Bf16Pair>().instruction_set : kernels<float>().instruction_set;
  }
  /// Returns f.template operator()<T>() with T = float, double or Bf16Pair.
  template <class F>
  decltype(auto) dispatch(DType dtype, std::string_view name, const F& f) const {
    return bf16_ ? f.template operator()<Bf16Pair>() : dispatch_float(dtype, name, f);
  }

  std::int64_t lanes(DType dtype) const {
    return dtype == DType::float64 ? kernels<double>().lanes : kernels<float>().lanes;
  }
  /// Floating-point operations a second of one thread, where K consists of contiguous segments of `depth` scalars.
  double flop_rate(DType dtype, std::int64_t depth) const {
    constexpr double kGain = 1.95;
    const double rate = cost::flop_rate(dtype);
    return bf16_ ? kGain * rate * cost::lane_use(depth, kVnniBlock<Bf16Pair>) : rate;
  }
  /// An estimate with what it takes to round and pack `size` scalars, in rows of `count` that each start a pair.
  double with_conversion(double seconds, std::int64_t size, std::int64_t count = kVnniBlock<Bf16Pair>) const {
    if (!bf16_) return seconds;
    constexpr double kRate = 5e9;     // scalars a second, read as float32 and written as bfloat16
    constexpr double kOddRow = 20;    // scalars' worth: odd rows are converted one by one
    constexpr double kMargin = 1.02;  // rounding must promise something
    const double odd_rows = count % 2 != 0 ? static_cast<double>(size) / static_cast<double>(count) : 0;
    const double conversion = (static_cast<double>(size) + kOddRow * odd_rows) / kRate;
    return kMargin * (seconds + cost::seconds(conversion, 0));
  }

 private:
  bool bf16_;
};

}  // namespace dygrad::native
