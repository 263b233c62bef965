// Bytes as a .npy file.
#include <dygrad/core/io/npy.h>

#include "support/tensors.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const MemoryCheck memory(3 * kMaxBytes);  // as read, turned to row-major, and read again
  const MemoryFile file(data, num_bytes);
  throws_error([&] {
    const Tensor x = load_npy(file.path(), {.max_bytes = kMaxBytes});
    save_npy(scratch_file("a.npy"), x);
    require_equal(x, load_npy(scratch_file("a.npy")));
  });
  return 0;
}
