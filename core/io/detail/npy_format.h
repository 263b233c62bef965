// One array in numpy's format, in a file of its own or in an archive.
#pragma once

#include <string>

#include <dygrad/core/io/detail/byte_source.h>
#include <dygrad/core/io/detail/load_budget.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::io {

/// What stands before the elements of a row-major array.
std::string make_npy_header(const Tensor& tensor);

/// Header and elements. The caller still has to `finish` the source.
Tensor read_npy(ByteSource& source, LoadBudget& budget);

}  // namespace dygrad::io
