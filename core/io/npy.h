// numpy's files: one array (.npy) or several by name in a zip archive (.npz).
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <string>

#include <dygrad/core/io/load_options.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Writes one tensor, of any dtype and strides, in row-major order. The file is replaced as a whole or not at all.
/// Throws InvalidArgument if the tensor is undefined, IoError if the file cannot be written.
DYGRAD_API void save_npy(const std::string& path, const Tensor& tensor);

/// Reads f4, f8, i8, u1 and b1 as they are; widens f2 to float32 and i1, i2, i4, u2, u4 to int64. Both byte orders and
/// both memory orders; the result is row-major. Throws IoError, naming file and reason, if the file cannot be read, is
/// malformed, holds anything else, or takes more memory than `options` allow.
DYGRAD_API Tensor load_npy(const std::string& path, const LoadOptions& options = {});

/// Writes tensors as `name.npy`, uncompressed, into a zip archive of less than 4 GiB. Equal tensors make equal files.
/// Throws InvalidArgument for an undefined tensor, a repeated or too long name, a name with a zero byte (readers take
/// it for the end), or too much data; IoError as save_npy.
DYGRAD_API void save_npz(const std::string& path, const NamedTensors& tensors);

/// Reads an archive written by save_npz, numpy.savez or numpy.savez_compressed, in its order; checksums are verified.
/// Throws IoError as load_npy, naming file and array.
DYGRAD_API NamedTensors load_npz(const std::string& path, const LoadOptions& options = {});

}  // namespace dygrad
