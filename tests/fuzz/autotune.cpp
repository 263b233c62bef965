// Bytes as a table of convolution algorithms.
#include <dygrad/core/dispatch/autotune.h>

#include "support/target.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  clear_autotune();
  const MemoryFile file(data, num_bytes);
  std::size_t count = 0;
  if (throws_error([&] { count = load_autotune(file.path()); })) {
    save_autotune(scratch_file("table"));
    require(load_autotune(scratch_file("table")) == 0, "a table that was refused has left choices");
    return 0;
  }
  save_autotune(scratch_file("table"));
  clear_autotune();
  require(load_autotune(scratch_file("table")) == count, "other choices come back");
  return 0;
}
