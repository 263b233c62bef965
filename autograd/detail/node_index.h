// NodeIndex: numbers the nodes of one backward pass. A flat hash table from pointer to number, because a pass looks up
// one per edge and nodes themselves must stay untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dygrad::detail {

class NodeIndex {
 public:
  /// The number of `key`, and whether it is new; new keys are numbered 0, 1, 2, ...
  std::pair<std::uint32_t, bool> insert(const void* key) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = find_slot(key);
    if (slot.round == round_) return {slot.number, false};
    slot = {key, static_cast<std::uint32_t>(size_), round_};
    return {static_cast<std::uint32_t>(size_++), true};
  }

  /// O(1): stale slots are recognised by their round number.
  void clear() {
    size_ = 0;
    if (++round_ == 0) *this = NodeIndex();
  }

 private:
  struct Slot {
    const void* key = nullptr;
    std::uint32_t number = 0;
    std::uint32_t round = 0;
  };

  Slot& find_slot(const void* key) {
    // Fibonacci hashing spreads addresses that differ in few middle bits.
    std::size_t at = static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(key) * 0x9E3779B97F4A7C15u) >> shift_);
    while (slots_[at].round == round_ && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.empty() ? 16 : slots_.size() * 2));
    shift_ = 64;
    for (std::size_t n = slots_.size(); n > 1; n /= 2) --shift_;
    for (const Slot& slot : old) {
      if (slot.round == round_) find_slot(slot.key) = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::uint32_t round_ = 1;  // never 0, the round of slots that were never used
  int shift_ = 64;
};

}  // namespace dygrad::detail
