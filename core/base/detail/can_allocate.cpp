#include <dygrad/core/base/detail/can_allocate.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace dygrad::detail {

bool can_allocate(std::size_t num_bytes, std::int64_t count) noexcept {
  struct Block {
    Block* next;
  };
  Block* blocks = nullptr;
  std::int64_t given = 0;
  for (; given < count; ++given) {
    void* const block = std::malloc(std::max(num_bytes, sizeof(Block)));
    if (!block) break;
    blocks = new (block) Block{blocks};
    asm volatile("" : : "r"(block) : "memory");  // a compiler may leave out a block that nobody looks at
  }
  while (blocks) std::free(std::exchange(blocks, blocks->next));
  return given == count;
}

}  // namespace dygrad::detail
