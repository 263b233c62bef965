// Seeded random tensors. Numbers come from a counter, not from a running state: element i of a draw depends only on the
// seed, the draw's place in the sequence and i, so that any number of threads gives the same values.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).
#pragma once

#include <atomic>
#include <cstdint>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// A seed and a position in its stream. Each draw moves the position. Thread-safe; draws from several threads
/// interleave.
class DYGRAD_API Generator {
 public:
  constexpr explicit Generator(std::uint64_t seed = 0) noexcept : seed_(seed) {}

  struct State {
    std::uint64_t seed = 0;
    std::uint64_t position = 0;
    bool operator==(const State&) const = default;
  };
  State state() const { return {seed_.load(), position_.load()}; }
  void set_state(State state) {
    seed_ = state.seed;
    position_ = state.position;
  }
  void set_seed(std::uint64_t seed) { set_state({seed, 0}); }

  /// Takes `count` counters; returns the stream they belong to, beginning at the first of them.
  State reserve(std::uint64_t count) { return {seed_.load(), position_.fetch_add(count)}; }

 private:
  std::atomic<std::uint64_t> seed_;
  std::atomic<std::uint64_t> position_{0};
};

/// The generator used where none is given.
DYGRAD_API Generator& default_generator();
/// Restarts the default generator from this seed.
DYGRAD_API void manual_seed(std::uint64_t seed);

struct RandomOptions {
  DType dtype = DType::float32;
  Generator* generator = nullptr;  ///< null means default_generator()
};

/// Evenly distributed in [low, high): 24 random bits for float32, 53 for float64. Equal bounds give that value.
/// Throws InvalidArgument unless low <= high and both and their distance are finite; DtypeError unless floating.
DYGRAD_API Tensor uniform(const Shape& shape, double low = 0, double high = 1, RandomOptions options = {});
/// Normal (Gaussian). Throws InvalidArgument if the deviation is negative or a number is not finite; DtypeError unless
/// floating.
DYGRAD_API Tensor normal(const Shape& shape, double mean = 0, double std_dev = 1, RandomOptions options = {});
/// Normal, drawn again until within two deviations of the mean; the result's own deviation is 0.8796 std_dev. Throws as
/// normal.
DYGRAD_API Tensor truncated_normal(const Shape& shape, double mean = 0, double std_dev = 1, RandomOptions options = {});
/// int64 in [low, high). Throws InvalidArgument unless low < high.
DYGRAD_API Tensor randint(const Shape& shape, std::int64_t low, std::int64_t high, Generator* generator = nullptr);
/// 0 .. count-1 in random order, int64.
DYGRAD_API Tensor permutation(std::int64_t count, Generator* generator = nullptr);
/// 1 with that probability (rounded to a multiple of 2^-32), else 0. Any dtype. Throws InvalidArgument unless it lies
/// in [0, 1].
DYGRAD_API Tensor bernoulli(const Shape& shape, double probability, RandomOptions options = {});

namespace detail {
/// One block of Philox4x32-10: 128 random bits for a 64-bit key and a 128-bit counter.
struct PhiloxBlock {
  std::uint32_t word[4];
};
DYGRAD_API PhiloxBlock philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high);
}  // namespace detail

}  // namespace dygrad
