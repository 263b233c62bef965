// IDX files, plain or gzipped, and the image sets made of them: MNIST, Fashion-MNIST and others of their form.
// Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
#pragma once

#include <optional>
#include <string>

#include <dygrad/core/io/load_options.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// One array. Unsigned bytes become uint8; signed bytes, shorts and ints become int64; floats and doubles stay.
/// Throws IoError, naming file and reason, if the file cannot be read, is malformed, or takes more memory than
/// `options` allow.
DYGRAD_API Tensor load_idx(const std::string& path, const LoadOptions& options = {});

struct ImageSet {
  Tensor images;  ///< uint8 [N, H, W]
  Tensor labels;  ///< int64 [N]
};
enum class Split { train, test };

/// Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-...`, with or without `.gz`.
/// Throws IoError if a file is missing or malformed, takes more memory than `options` allow for each, or if the two do
/// not fit each other.
DYGRAD_API ImageSet load_mnist(const std::string& folder, Split split, const LoadOptions& options = {});

/// The folder of Fashion-MNIST: $DYGRAD_DATA if that is set, else where distributions put it or ./data/fashion-mnist.
DYGRAD_API std::optional<std::string> find_fashion_mnist();

}  // namespace dygrad
