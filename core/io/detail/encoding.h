// How elements are stored in files, including types that dygrad itself does not have: those are widened without loss.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <dygrad/core/io/detail/byte_source.h>
#include <dygrad/core/io/detail/load_budget.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::io {

static_assert(std::endian::native == std::endian::little, "the file formats write memory as it is");

/// f16 and bf16 become float32; integers of 8 to 32 bits, but uint8, become int64.
enum class Encoding : std::uint8_t { f16, bf16, f32, f64, i8, u8, i16, u16, i32, u32, i64, boolean };

std::size_t size_of(Encoding encoding);
DType dtype_of(Encoding encoding);
Encoding encoding_of(DType dtype);

/// Bytes that a tensor takes in the file. Throws IoError if an extent is negative or the product overflows.
std::uint64_t stored_bytes_of(const FileContext& context, const Shape& shape, Encoding encoding);

/// Reads a row-major tensor. Throws IoError if the source cannot hold as many bytes or the budget does not allow them
/// (both before memory is asked for), if it ends early, or if a bool is neither 0 nor 1.
Tensor read_tensor(ByteSource& source, LoadBudget& budget, const Shape& shape, Encoding encoding,
                   std::endian order = std::endian::little);

/// The tensor itself if it is dense in row-major order, else such a copy.
Tensor dense_form(const Tensor& tensor);

/// The bytes of a dense tensor.
std::span<const std::byte> bytes_of(const Tensor& dense);

}  // namespace dygrad::io
