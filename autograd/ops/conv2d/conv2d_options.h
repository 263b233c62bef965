// The small argument types of 2-D convolutions: a number or a pair, the forms of padding, the output size.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <dygrad/core/base/export.h>
#include <dygrad/core/base/shape.h>

namespace dygrad {

/// (height, width), or one number for both: `.stride = 2`, `.stride = {2, 1}`.
struct Pair {
  constexpr Pair() = default;
  template <Integer T>
  constexpr Pair(T both) : h(static_cast<std::int64_t>(both)), w(h) {}
  template <Integer T, Integer U>
  constexpr Pair(T height, U width) : h(static_cast<std::int64_t>(height)), w(static_cast<std::int64_t>(width)) {}
  bool operator==(const Pair&) const = default;

  std::int64_t h = 0;
  std::int64_t w = 0;
};

/// An output size, or none: `.output_size = 7`, `.output_size = {7, 9}`.
class OutputSize {
 public:
  constexpr OutputSize() = default;
  constexpr OutputSize(std::nullopt_t) {}
  constexpr OutputSize(Pair size) : size_(size) {}
  template <Integer T>
  constexpr OutputSize(T both) : size_(Pair(both)) {}
  template <Integer T, Integer U>
  constexpr OutputSize(T height, U width) : size_(Pair(height, width)) {}
  constexpr bool has_value() const { return size_.has_value(); }
  constexpr const Pair& operator*() const { return *size_; }

 private:
  std::optional<Pair> size_;
};

/// Padding in any of Paddle's forms:
///   1                           the same on all four sides
///   {1, 2}                      height, width: symmetric
///   {top, bottom, left, right}  each side
///   {{0, 0}, {0, 0}, {top, bottom}, {left, right}}
///                               with batch and channel, which must be {0, 0}, in the order of the data format
///   "SAME" or "VALID"           any case. SAME also forces dilation to 1, as in Paddle.
/// Kept as written: numbers follow from the tensors' shapes. Throws InvalidArgument for any other word.
class DYGRAD_API Padding2D {
 public:
  enum class Form : std::uint8_t { pair, sides, dims, same, valid };

  Padding2D() = default;
  template <Integer T>
  Padding2D(T all) : values_{static_cast<std::int64_t>(all), static_cast<std::int64_t>(all)} {}
  Padding2D(Pair both) : values_{both.h, both.w} {}
  template <Integer T, Integer U>
  Padding2D(T h, U w) : Padding2D(Pair(h, w)) {}
  template <Integer A, Integer B, Integer C, Integer D>
  Padding2D(A top, B bottom, C left, D right)
      : form_(Form::sides),
        values_{static_cast<std::int64_t>(top), static_cast<std::int64_t>(bottom), static_cast<std::int64_t>(left),
                static_cast<std::int64_t>(right)} {}
  Padding2D(const std::array<Pair, 4>& dims) : form_(Form::dims), dims_(dims) {}
  Padding2D(Pair a, Pair b, Pair c, Pair d) : Padding2D(std::array<Pair, 4>{a, b, c, d}) {}
  Padding2D(const char* word) : Padding2D(std::string_view(word)) {}
  Padding2D(const std::string& word) : Padding2D(std::string_view(word)) {}
  Padding2D(std::string_view word);

  Form form() const { return form_; }
  const std::array<std::int64_t, 4>& values() const { return values_; }  ///< of Form::pair (two) and Form::sides (four)
  const std::array<Pair, 4>& dims() const { return dims_; }              ///< of Form::dims

 private:
  Form form_ = Form::pair;
  std::array<std::int64_t, 4> values_{};
  std::array<Pair, 4> dims_{};
};

/// Order of an image tensor's dimensions.
class DYGRAD_API DataFormat {
 public:
  enum Order : std::uint8_t { NCHW, NHWC };
  constexpr DataFormat(Order order = NCHW) : order_(order) {}
  /// "NCHW" or "NHWC", in capitals; throws InvalidArgument otherwise.
  DataFormat(const char* name);
  DataFormat(const std::string& name);
  constexpr operator Order() const { return order_; }

 private:
  Order order_;
};

}  // namespace dygrad
