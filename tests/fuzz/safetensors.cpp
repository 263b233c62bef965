// Bytes as a safetensors file.
#include <dygrad/core/io/safetensors.h>

#include "support/tensors.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const MemoryCheck memory(2 * kMaxBytes);
  const MemoryFile file(data, num_bytes);
  SafetensorsFile x;
  if (throws_error([&] { x = load_safetensors(file.path(), {.max_bytes = kMaxBytes}); })) return 0;
  // What could be loaded can be saved.
  save_safetensors(scratch_file("a"), x.tensors, x.metadata);
  const SafetensorsFile back = load_safetensors(scratch_file("a"));
  require_equal(x.tensors, back.tensors);
  require(x.metadata == back.metadata, "other metadata come back");
  return 0;
}
