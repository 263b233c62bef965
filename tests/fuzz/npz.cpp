// Bytes as a .npz archive.
#include <dygrad/core/io/npy.h>

#include "support/tensors.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const MemoryCheck memory(3 * kMaxBytes);
  const MemoryFile file(data, num_bytes);
  throws_error([&] {
    const NamedTensors x = load_npz(file.path(), {.max_bytes = kMaxBytes});
    save_npz(scratch_file("a.npz"), x);
    require_equal(x, load_npz(scratch_file("a.npz")));
  });
  return 0;
}
