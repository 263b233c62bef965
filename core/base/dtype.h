// Element types: their names, sizes, and the one place where a runtime dtype becomes a C++ type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>

#include <dygrad/core/base/export.h>

namespace dygrad {

enum class DType : std::uint8_t { float32, float64, int64, uint8, boolean };

inline constexpr DType float32 = DType::float32;
inline constexpr DType float64 = DType::float64;
inline constexpr DType int64 = DType::int64;
inline constexpr DType uint8 = DType::uint8;
inline constexpr DType boolean = DType::boolean;

namespace detail {
/// For a value outside of the list.
[[noreturn]] DYGRAD_API void fail_unknown_dtype(DType dtype);
}  // namespace detail

/// Size of one element in bytes.
constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return 4;
    case DType::float64: return 8;
    case DType::int64: return 8;
    case DType::uint8: return 1;
    case DType::boolean: return 1;
  }
  detail::fail_unknown_dtype(dtype);
}

constexpr bool is_floating(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

/// "float32", "float64", "int64", "uint8" or "bool".
DYGRAD_API std::string_view name_of(DType dtype);
DYGRAD_API std::ostream& operator<<(std::ostream& out, DType dtype);  // its name

/// The dtype of that name. Throws DtypeError listing the known names.
DYGRAD_API DType dtype_from_name(std::string_view name);

/// The dtype that stores C++ type T.
template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, float>) return DType::float32;
  else if constexpr (std::is_same_v<U, double>) return DType::float64;
  else if constexpr (std::is_same_v<U, std::int64_t>) return DType::int64;
  else if constexpr (std::is_same_v<U, std::uint8_t>) return DType::uint8;
  else if constexpr (std::is_same_v<U, bool>) return DType::boolean;
  else static_assert(sizeof(U) == 0, "no dtype stores this C++ type");
}

/// An argument that takes a dtype or its name: `.dtype = float64` or `.dtype = "float64"`.
class DTypeLike {
 public:
  constexpr DTypeLike(DType dtype) : dtype_(dtype) {}
  DTypeLike(const char* name) : dtype_(dtype_from_name(name)) {}
  DTypeLike(std::string_view name) : dtype_(dtype_from_name(name)) {}
  constexpr operator DType() const { return dtype_; }

 private:
  DType dtype_;
};

namespace detail {
[[noreturn]] DYGRAD_API void fail_not_floating(std::string_view op, DType dtype);
[[noreturn]] DYGRAD_API void fail_not_numeric(std::string_view op, DType dtype);
}  // namespace detail

/// Calls `f.template operator()<T>()` with T = float or double. Throws DtypeError naming `op` for any other dtype.
template <class F>
decltype(auto) dispatch_float(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::float32: return f.template operator()<float>();
    case DType::float64: return f.template operator()<double>();
    default: detail::fail_not_floating(op, dtype);
  }
}

/// As dispatch_float, with int64 and uint8 too (no bool).
template <class F>
decltype(auto) dispatch_numeric(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::float32: return f.template operator()<float>();
    case DType::float64: return f.template operator()<double>();
    case DType::int64: return f.template operator()<std::int64_t>();
    case DType::uint8: return f.template operator()<std::uint8_t>();
    default: detail::fail_not_numeric(op, dtype);
  }
}

/// Every dtype.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32: return f.template operator()<float>();
    case DType::float64: return f.template operator()<double>();
    case DType::int64: return f.template operator()<std::int64_t>();
    case DType::uint8: return f.template operator()<std::uint8_t>();
    case DType::boolean: return f.template operator()<bool>();
  }
  detail::fail_unknown_dtype(dtype);
}

}  // namespace dygrad
