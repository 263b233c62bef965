#include <dygrad/core/io/detail/encoding.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::io {

namespace {

struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

float widen(BFloat16 v) { return std::bit_cast<float>(std::uint32_t{v.bits} << 16); }

float widen(Half v) {
  const std::uint32_t sign = std::uint32_t{v.bits & 0x8000U} << 16;
  const std::uint32_t exponent = v.bits >> 10 & 0x1FU;
  const std::uint32_t fraction = v.bits & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide_exponent = exponent == 31 ? 255 : exponent - 15 + 127;
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

template <class T>
requires std::is_integral_v<T> std::int64_t widen(T v) { return v; }

template <class T>
void swap_bytes(T& value) {
  auto* bytes = reinterpret_cast<std::byte*>(&value);
  std::reverse(bytes, bytes + sizeof(T));
}

/// For types that dygrad has: straight into the tensor's memory.
template <class T>
void read_same(ByteSource& source, const Tensor& result, std::endian order) {
  T* out = result.mutable_data<T>();
  const auto count = static_cast<std::size_t>(result.num_elements());
  source.read({reinterpret_cast<std::byte*>(out), count * sizeof(T)});
  if (order != std::endian::native && sizeof(T) > 1) std::for_each(out, out + count, swap_bytes<T>);
}

template <class Stored, class T>
void read_widened(ByteSource& source, const Tensor& result, std::endian order) {
  std::array<Stored, 8192> piece;
  T* out = result.mutable_data<T>();
  for (std::int64_t left = result.num_elements(); left > 0;) {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(left, piece.size()));
    source.read(std::as_writable_bytes(std::span(piece).first(count)));
    if (order != std::endian::native && sizeof(Stored) > 1) std::for_each_n(piece.begin(), count, swap_bytes<Stored>);
    out = std::transform(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count), out,
                         [](Stored v) { return widen(v); });
    left -= static_cast<std::int64_t>(count);
  }
}

/// Through bytes: a C++ bool other than 0 and 1 must not even exist.
void read_bools(ByteSource& source, const Tensor& result) {
  auto* out = reinterpret_cast<std::uint8_t*>(result.mutable_data<bool>());
  const auto count = static_cast<std::size_t>(result.num_elements());
  source.read({reinterpret_cast<std::byte*>(out), count});
  if (std::any_of(out, out + count, [](std::uint8_t v) { return v > 1; })) {
    std::memset(out, 0, count);
    fail(source.context(), "a bool is stored as something other than 0 or 1.");
  }
}

}  // namespace

std::size_t size_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::i8:
    case Encoding::u8:
    case Encoding::boolean: return 1;
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::i16:
    case Encoding::u16: return 2;
    case Encoding::f32:
    case Encoding::i32:
    case Encoding::u32: return 4;
    case Encoding::f64:
    case Encoding::i64: return 8;
  }
  return 0;
}

DType dtype_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::f32: return DType::float32;
    case Encoding::f64: return DType::float64;
    case Encoding::u8: return DType::uint8;
    case Encoding::boolean: return DType::boolean;
    default: return DType::int64;
  }
}

Encoding encoding_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return Encoding::f32;
    case DType::float64: return Encoding::f64;
    case DType::int64: return Encoding::i64;
    case DType::uint8: return Encoding::u8;
    case DType::boolean: return Encoding::boolean;
  }
  return Encoding::f32;
}

namespace {
std::uint64_t bytes_of_elements(const FileContext& context, const Shape& shape, std::size_t element_bytes) {
  try {
    return static_cast<std::uint64_t>(num_bytes(shape, element_bytes));
  } catch (const ShapeError&) {
    fail(context, "shape {} is negative or does not fit into 64 bits.", shape);
  }
}
}  // namespace

std::uint64_t stored_bytes_of(const FileContext& context, const Shape& shape, Encoding encoding) {
  return bytes_of_elements(context, shape, size_of(encoding));
}

Tensor read_tensor(ByteSource& source, LoadBudget& budget, const Shape& shape, Encoding encoding, std::endian order) {
  const std::uint64_t stored_bytes = stored_bytes_of(source.context(), shape, encoding);
  if (stored_bytes > source.most_left()) {
    fail(source.context(), "the file is too short: shape {} needs {} bytes, at most {} are there.", shape, stored_bytes,
         source.most_left());
  }
  const DType dtype = dtype_of(encoding);
  budget.take(source.context(), bytes_of_elements(source.context(), shape, dygrad::size_of(dtype)));
  const Tensor result = Tensor::empty(shape, dtype);
  switch (encoding) {
    case Encoding::f16: read_widened<Half, float>(source, result, order); break;
    case Encoding::bf16: read_widened<BFloat16, float>(source, result, order); break;
    case Encoding::f32: read_same<float>(source, result, order); break;
    case Encoding::f64: read_same<double>(source, result, order); break;
    case Encoding::i8: read_widened<std::int8_t, std::int64_t>(source, result, order); break;
    case Encoding::u8: read_same<std::uint8_t>(source, result, order); break;
    case Encoding::i16: read_widened<std::int16_t, std::int64_t>(source, result, order); break;
    case Encoding::u16: read_widened<std::uint16_t, std::int64_t>(source, result, order); break;
    case Encoding::i32: read_widened<std::int32_t, std::int64_t>(source, result, order); break;
    case Encoding::u32: read_widened<std::uint32_t, std::int64_t>(source, result, order); break;
    case Encoding::i64: read_same<std::int64_t>(source, result, order); break;
    case Encoding::boolean: read_bools(source, result); break;
  }
  return result;
}

Tensor dense_form(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : kernel::clone(tensor, MemoryFormat::row_major);
}

std::span<const std::byte> bytes_of(const Tensor& dense) {
  const std::size_t begin = static_cast<std::size_t>(dense.impl()->offset) * dygrad::size_of(dense.dtype());
  return {dense.impl()->storage->data() + begin, static_cast<std::size_t>(dense.num_bytes())};
}

}  // namespace dygrad::io
