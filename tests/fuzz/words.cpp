// Bytes as the words that options and environment variables take: names of types, paddings, orders, activations,
// backends, parameters.
#include <dygrad/dygrad.h>

#include "support/target.h"

using namespace dygrad;
using namespace dygrad::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes) {
  const std::string word(reinterpret_cast<const char*>(data), num_bytes);
  const Tensor x = ones({1, 1, 2, 2});
  throws_error([&] { (void)dtype_from_name(word); });
  throws_error([&] { (void)conv2d(x, x, {}, {.padding = word}); });
  throws_error([&] { (void)conv2d(x, x, {}, {.data_format = word}); });
  throws_error([&] { (void)activation(word); });
  throws_error([&] { (void)fused_activation(word); });
  throws_error([&] { Conv2DTranspose({.num_channels = 1, .num_filters = 1, .filter_size = 2, .act = word})(x); });
  throws_error([&] { const BackendGuard guard(word); });
  throws_error([&] { (void)StateDict({{word, x}}).with_prefix(word); });
  throws_error([&] { Sequential().append(word, std::make_shared<Flatten>()); });
  return 0;
}
