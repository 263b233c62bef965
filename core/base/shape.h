// Shapes, strides and axis lists: short lists of integers kept inline (rank up to 6), and the arithmetic on them.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <dygrad/core/base/export.h>

namespace dygrad {

inline constexpr int kMaxRank = 6;

/// A C++ integer type; bool is none.
template <class T>
concept Integer = std::integral<T> && !std::same_as<std::remove_cv_t<T>, bool>;

namespace detail {
[[noreturn]] DYGRAD_API void fail_large_extent(std::uint64_t value);

template <Integer T>
constexpr std::int64_t checked_extent(T value) {
  if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
    if (value > static_cast<T>(INT64_MAX)) fail_large_extent(value);
  }
  return static_cast<std::int64_t>(value);
}

template <class L>
inline constexpr bool is_integer_list = false;
template <Integer T>
inline constexpr bool is_integer_list<std::initializer_list<T>> = true;
}  // namespace detail

/// Up to kMaxRank integers, inline. Written like a list: `Dims{2, 3}`, or as one number: `Dims(5)`.
/// A longer list in braces does not compile; other longer lists, and numbers that std::int64_t does not hold, throw
/// ShapeError.
class DYGRAD_API Dims {
 public:
  constexpr Dims() = default;
  template <Integer... Ints>
  requires(sizeof...(Ints) >= 1 && sizeof...(Ints) <= kMaxRank) constexpr Dims(Ints... values)
      : values_{detail::checked_extent(values)...}, rank_(sizeof...(Ints)) {}
  // A list in parentheses of its own, `Shape({5})` or `Shape({2, n})`: as an array, since all other ways to read it are
  // equally good.
  template <Integer T, std::size_t N>
  requires(N <= kMaxRank) constexpr Dims(const T (&values)[N]) : rank_(N) {
    for (std::size_t i = 0; i < N; ++i) values_[i] = detail::checked_extent(values[i]);
  }
  template <std::size_t N>
  requires(N <= kMaxRank) constexpr Dims(const std::int64_t (&values)[N]) : rank_(N) {
    for (std::size_t i = 0; i < N; ++i) values_[i] = values[i];
  }
  Dims(std::span<const std::int64_t> values);
  Dims(const std::vector<std::int64_t>& values);
  // A list with a name. Its type is deduced, so that lists in braces go to the constructors above.
  template <class L>
  requires detail::is_integer_list<L> Dims(const L& values) {
    for (const auto value : values) push_back(detail::checked_extent(value));
  }
  static Dims filled(int rank, std::int64_t value);

  int rank() const { return rank_; }
  std::size_t size() const { return static_cast<std::size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  std::int64_t operator[](int i) const { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](int i) { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t back() const { return values_[static_cast<std::size_t>(rank_ - 1)]; }
  const std::int64_t* begin() const { return values_.data(); }
  const std::int64_t* end() const { return values_.data() + rank_; }
  std::int64_t* begin() { return values_.data(); }
  std::int64_t* end() { return values_.data() + rank_; }

  void push_back(std::int64_t value);
  void insert(int position, std::int64_t value);
  void erase(int position);
  bool contains(std::int64_t value) const;

  bool operator==(const Dims& other) const {
    if (rank_ != other.rank_) return false;
    for (std::size_t i = 0; i < size(); ++i) {
      if (values_[i] != other.values_[i]) return false;
    }
    return true;
  }

 private:
  std::array<std::int64_t, kMaxRank> values_{};
  int rank_ = 0;
};

using Shape = Dims;    ///< extents, in elements; row-major order of dimensions
using Strides = Dims;  ///< distance between neighbours along each dimension, in elements
using Axes = Dims;     ///< dimension numbers; negative ones count from the back

/// Product of the extents; 1 for rank 0. Throws ShapeError naming `op` on a negative extent or 64-bit overflow.
DYGRAD_API std::int64_t num_elements(const Shape& shape, std::string_view op = "shape");

/// Number of bytes of a dense tensor. Throws as num_elements, and on overflow.
DYGRAD_API std::int64_t num_bytes(const Shape& shape, std::size_t element_size, std::string_view op = "shape");

/// `axis` brought into [0, rank). Throws ShapeError naming `op`. Rank 0 admits 0 and -1, as numpy's scalars do not, for
/// reductions.
DYGRAD_API int normalize_axis(std::int64_t axis, int rank, std::string_view op);

/// Sorted, distinct, non-negative axes; an empty list means all of them. Throws ShapeError naming `op` on a repeated
/// axis.
DYGRAD_API Axes normalize_axes(const Axes& axes, int rank, std::string_view op);

/// The shape both broadcast to, by numpy's rule. Throws ShapeError naming `op`.
DYGRAD_API Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op);

/// True if a tensor of shape `from` can be expanded to `to` without copying.
DYGRAD_API bool is_expandable(const Shape& from, const Shape& to);

/// "[2, 3]".
DYGRAD_API std::string to_string(const Dims& dims);
DYGRAD_API std::ostream& operator<<(std::ostream& out, const Dims& dims);

/// A named way to lay out memory. Nothing but a word for a stride order; strides remain the only statement about
/// layout.
enum class MemoryFormat : std::uint8_t {
  row_major,      ///< last dimension innermost
  channels_last,  ///< rank 4 only: N, H, W, C from the outermost inwards, while the logical order stays N, C, H, W
};

/// Strides of a dense tensor in that order. Ranks other than 4 have only row_major.
DYGRAD_API Strides dense_strides(const Shape& shape, MemoryFormat format = MemoryFormat::row_major);

struct DenseLayout {
  Strides strides;
  std::int64_t num_elements;
};
/// Both at once, for the path of every op. Throws as num_elements.
DYGRAD_API DenseLayout dense_layout(const Shape& shape, MemoryFormat format = MemoryFormat::row_major);

/// True if strides describe a dense tensor of that order; extents of 1 and empty tensors fit any order.
DYGRAD_API bool is_dense(const Shape& shape, const Strides& strides, MemoryFormat format = MemoryFormat::row_major);

}  // namespace dygrad
