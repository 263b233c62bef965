// Bytes as an IDX file, plain or gzipped.
#include <dygrad/core/data/idx.h>

#include "support/tensors.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const MemoryCheck memory(kMaxBytes);
  const MemoryFile file(data, num_bytes);
  throws_error([&] {
    const Tensor x = load_idx(file.path(), {.max_bytes = kMaxBytes});
    require(x.defined() && x.is_contiguous(), "a loaded tensor is not row-major");
  });
  return 0;
}
