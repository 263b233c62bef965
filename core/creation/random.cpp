#include <dygrad/core/creation/random.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <tuple>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/detail/empty_for.h>

// Note [Counter-based random numbers]
// A draw takes consecutive counters; each gives a block of four 32-bit words. Element i of a draw is made of word i
// (types of up to 32 bits) or of words 2i and 2i+1 (64 bits), so nothing depends on how the work is split over threads.
// The upper half of the counter is 0. Rejection sampling redraws from blocks whose upper half is the element's place
// in its block and the attempt; no two elements share such a block.

namespace dygrad {

namespace {

__extension__ typedef unsigned __int128 Uint128;

constexpr int kRounds = 10;
constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;  // golden ratio
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;  // square root of 3

constexpr std::uint32_t low_half(std::uint64_t v) { return static_cast<std::uint32_t>(v); }
constexpr std::uint32_t high_half(std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); }

/// Philox on kLanes counters side by side, in loops that compilers turn into vector instructions. out[4 * lane + word].
template <int kLanes>
void philox_lanes(std::uint64_t key, std::uint64_t first, std::uint64_t high, std::uint32_t* out) {
  std::uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const std::uint64_t low = first + static_cast<std::uint64_t>(i);
    c0[i] = low_half(low);
    c1[i] = high_half(low);
    c2[i] = low_half(high);
    c3[i] = high_half(high);
  }
  std::uint32_t k0 = low_half(key), k1 = high_half(key);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      const std::uint64_t p0 = std::uint64_t{kMultiplier0} * c0[i];
      const std::uint64_t p1 = std::uint64_t{kMultiplier1} * c2[i];
      c0[i] = high_half(p1) ^ c1[i] ^ k0;
      c1[i] = low_half(p1);
      c2[i] = high_half(p0) ^ c3[i] ^ k1;
      c3[i] = low_half(p0);
    }
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  for (int i = 0; i < kLanes; ++i) {
    out[4 * i] = c0[i];
    out[4 * i + 1] = c1[i];
    out[4 * i + 2] = c2[i];
    out[4 * i + 3] = c3[i];
  }
}

/// Bits made into numbers of type T. kWords is the number of 32-bit words one of them takes.
template <class T>
struct Bits;
template <>
struct Bits<float> {
  static constexpr int kWords = 1;
  /// [0, 1), 24 bits.
  static float unit(const std::uint32_t* words) { return static_cast<float>(words[0] >> 8) * 0x1p-24F; }
  /// (0, 1], all 32 bits, so that a logarithm reaches further out.
  static float unit_above_zero(const std::uint32_t* words) { return (static_cast<float>(words[0]) + 1.0F) * 0x1p-32F; }
};
template <>
struct Bits<double> {
  static constexpr int kWords = 2;
  static std::uint64_t word(const std::uint32_t* words) { return words[0] | std::uint64_t{words[1]} << 32; }
  /// [0, 1), 53 bits.
  static double unit(const std::uint32_t* words) { return static_cast<double>(word(words) >> 11) * 0x1p-53; }
  /// (0, 1], 53 bits.
  static double unit_above_zero(const std::uint32_t* words) {
    return static_cast<double>((word(words) >> 11) + 1) * 0x1p-53;
  }
};

constexpr int kChunkBlocks = 64;
constexpr int kChunkWords = 4 * kChunkBlocks;
constexpr std::int64_t kGrain = 64;  // chunks; fewer are not worth a second thread

/// Fills `count` values. `make(words, values, stream)` turns one chunk of words into kChunkWords / kWords values, where
/// `stream` begins at the chunk's first block.
template <class T, int kWords, class Make>
void generate(T* out, std::int64_t count, Generator* generator, const Make& make) {
  constexpr std::int64_t kPerBlock = 4 / kWords;
  constexpr std::int64_t kPerChunk = kChunkWords / kWords;
  Generator& source = generator ? *generator : default_generator();
  const std::int64_t blocks = count / kPerBlock + (count % kPerBlock != 0);
  const Generator::State stream = source.reserve(static_cast<std::uint64_t>(blocks));
  const std::int64_t chunks = count / kPerChunk + (count % kPerChunk != 0);
  parallel_for(chunks, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::array<std::uint32_t, kChunkWords> words;
    std::array<T, kPerChunk> values;
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const Generator::State at{stream.seed, stream.position + static_cast<std::uint64_t>(chunk * kChunkBlocks)};
      philox_lanes<kChunkBlocks>(at.seed, at.position, 0, words.data());
      const std::int64_t done = chunk * kPerChunk;
      if (count - done >= kPerChunk) {
        make(words.data(), out + done, at);
      } else {
        make(words.data(), values.data(), at);
        std::copy_n(values.data(), count - done, out + done);
      }
    }
  });
}

/// The words of one redraw of element `index` of a chunk; `attempt` counts from 0. See note [From counters to
/// elements].
template <int kWords>
detail::PhiloxBlock redraw(Generator::State chunk, int index, std::uint64_t attempt) {
  constexpr int kPerBlock = 4 / kWords;
  const std::uint64_t place = static_cast<std::uint64_t>(index % kPerBlock);
  return detail::philox(chunk.seed, chunk.position + static_cast<std::uint64_t>(index / kPerBlock),
                        1 + place + 4 * attempt);
}

/// Two independent standard normal numbers out of 2 * kWords words.
/// Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
template <class T>
std::pair<T, T> normal_pair(const std::uint32_t* words) {
  const T radius = std::sqrt(T{-2} * std::log(Bits<T>::unit_above_zero(words)));
  const T angle = T{2} * std::numbers::pi_v<T> * Bits<T>::unit(words + Bits<T>::kWords);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

template <class T>
void normal_chunk(const std::uint32_t* words, T* values) {
  constexpr int kWords = Bits<T>::kWords;
  for (int i = 0; i < kChunkWords / kWords; i += 2)
    std::tie(values[i], values[i + 1]) = normal_pair<T>(words + i * kWords);
}

/// A number in [0, range) without bias, or in [0, 2^64) if range is 0.
/// Source: Lemire, "Fast random integer generation in an interval", 2019.
class Bounded {
 public:
  explicit Bounded(std::uint64_t range) : range_(range), reject_below_(range == 0 ? 0 : (0 - range) % range) {}
  std::uint64_t draw(const std::uint32_t* words, Generator::State chunk, int index) const {
    std::uint64_t bits = Bits<double>::word(words);
    if (range_ == 0) return bits;
    for (std::uint64_t attempt = 0;; ++attempt) {
      const Uint128 product = Uint128{bits} * range_;
      if (static_cast<std::uint64_t>(product) >= reject_below_) return static_cast<std::uint64_t>(product >> 64);
      bits = Bits<double>::word(redraw<2>(chunk, index, attempt).word);
    }
  }

 private:
  std::uint64_t range_;
  std::uint64_t reject_below_;
};

template <class T>
void check_normal(const char* op, double mean, double std_dev) {
  if (std::isfinite(static_cast<T>(mean)) && std::isfinite(static_cast<T>(std_dev)) && std_dev >= 0) return;
  throw InvalidArgument(Message(op, "mean and deviation do not fit.")
                            .expected("finite as {}, std_dev >= 0", dtype_of<T>())
                            .got("mean {}, std_dev {}", mean, std_dev)
                            .fix("give a finite mean, and a finite deviation of 0 or more"));
}

}  // namespace

detail::PhiloxBlock detail::philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  PhiloxBlock block;
  philox_lanes<1>(key, counter_low, counter_high, block.word);
  return block;
}

Generator& default_generator() {
  static_assert(std::is_trivially_destructible_v<Generator>);  // destructors of other static objects may draw from it
  static constinit Generator instance;
  return instance;
}

void manual_seed(std::uint64_t seed) { default_generator().set_seed(seed); }

Tensor uniform(const Shape& shape, double low, double high, RandomOptions options) {
  return dispatch_float(options.dtype, "uniform", [&]<class T>() {
    const T first = static_cast<T>(low), last = static_cast<T>(high), width = last - first;
    if (!(low <= high) || !std::isfinite(width)) {
      throw InvalidArgument(Message("uniform", "the bounds do not fit.")
                                .expected("low <= high, both and their distance finite as {}", options.dtype)
                                .got("[{}, {})", low, high)
                                .fix("swap the bounds, or choose closer ones"));
    }
    // Rounding may carry a value up to `last`, which is not part of the interval.
    const T most = first < last ? std::nextafter(last, first) : first;
    Tensor result = detail::empty_for("uniform", shape, options.dtype);
    constexpr int kWords = Bits<T>::kWords;
    generate<T, kWords>(result.mutable_data<T>(), result.num_elements(), options.generator,
                        [=](const std::uint32_t* words, T* values, Generator::State) {
                          for (int i = 0; i < kChunkWords / kWords; ++i) {
                            values[i] = std::min(first + width * Bits<T>::unit(words + i * kWords), most);
                          }
                        });
    return result;
  });
}

Tensor normal(const Shape& shape, double mean, double std_dev, RandomOptions options) {
  return dispatch_float(options.dtype, "normal", [&]<class T>() {
    check_normal<T>("normal", mean, std_dev);
    Tensor result = detail::empty_for("normal", shape, options.dtype);
    constexpr int kWords = Bits<T>::kWords;
    const T shift = static_cast<T>(mean), scale = static_cast<T>(std_dev);
    generate<T, kWords>(result.mutable_data<T>(), result.num_elements(), options.generator,
                        [=](const std::uint32_t* words, T* values, Generator::State) {
                          normal_chunk(words, values);
                          for (int i = 0; i < kChunkWords / kWords; ++i) values[i] = shift + scale * values[i];
                        });
    return result;
  });
}

Tensor truncated_normal(const Shape& shape, double mean, double std_dev, RandomOptions options) {
  return dispatch_float(options.dtype, "truncated_normal", [&]<class T>() {
    check_normal<T>("truncated_normal", mean, std_dev);
    Tensor result = detail::empty_for("truncated_normal", shape, options.dtype);
    constexpr int kWords = Bits<T>::kWords;
    const T shift = static_cast<T>(mean), scale = static_cast<T>(std_dev);
    generate<T, kWords>(result.mutable_data<T>(), result.num_elements(), options.generator,
                        [=](const std::uint32_t* words, T* values, Generator::State chunk) {
                          normal_chunk(words, values);
                          for (int i = 0; i < kChunkWords / kWords; ++i) {
                            for (std::uint64_t attempt = 0; std::abs(values[i]) > T{2}; ++attempt) {
                              values[i] = normal_pair<T>(redraw<kWords>(chunk, i, attempt).word).first;
                            }
                            values[i] = shift + scale * values[i];
                          }
                        });
    return result;
  });
}

Tensor randint(const Shape& shape, std::int64_t low, std::int64_t high, Generator* generator) {
  if (low >= high)
    throw InvalidArgument(Message("randint", "the interval is empty.")
                              .expected("low < high")
                              .got("[{}, {})", low, high)
                              .fix("high is not part of the interval: give at least low + 1"));
  Tensor result = detail::empty_for("randint", shape, DType::int64);
  const auto first = static_cast<std::uint64_t>(low);  // unsigned arithmetic wraps where signed would overflow
  const Bounded bounded(static_cast<std::uint64_t>(high) - first);
  generate<std::int64_t, 2>(result.mutable_data<std::int64_t>(), result.num_elements(), generator,
                            [=](const std::uint32_t* words, std::int64_t* values, Generator::State chunk) {
                              for (int i = 0; i < kChunkWords / 2; ++i) {
                                values[i] = static_cast<std::int64_t>(first + bounded.draw(words + 2 * i, chunk, i));
                              }
                            });
  return result;
}

Tensor permutation(std::int64_t count, Generator* generator) {
  if (count < 0)
    throw InvalidArgument(Message("permutation", "the number of items is negative.")
                              .expected("count >= 0")
                              .got("{}", count)
                              .fix("give a count of 0 or more"));
  // Fisher and Yates: item i changes places with one of the items up to i. All memory comes before the draw, so that
  // the generator has not moved if there is none.
  Tensor result = detail::empty_for("permutation", {count}, DType::int64);
  std::int64_t* order = result.mutable_data<std::int64_t>();
  const Tensor draws = randint({count}, 0, std::numeric_limits<std::int64_t>::max(), generator);
  const std::int64_t* items = draws.data<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t j = items[i] % (i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  return result;
}

Tensor bernoulli(const Shape& shape, double probability, RandomOptions options) {
  if (!(probability >= 0 && probability <= 1)) {
    throw InvalidArgument(Message("bernoulli", "not a probability.")
                              .expected("a number in [0, 1]")
                              .got("{}", probability)
                              .fix("give the chance of a 1 as a fraction, not as a percentage"));
  }
  const auto below = static_cast<std::uint64_t>(std::llround(probability * 0x1p32));
  return dispatch_all(options.dtype, [&]<class T>() {
    Tensor result = detail::empty_for("bernoulli", shape, options.dtype);
    generate<T, 1>(result.mutable_data<T>(), result.num_elements(), options.generator,
                   [=](const std::uint32_t* words, T* values, Generator::State) {
                     for (int i = 0; i < kChunkWords; ++i) values[i] = static_cast<T>(words[i] < below);
                   });
    return result;
  });
}

}  // namespace dygrad
