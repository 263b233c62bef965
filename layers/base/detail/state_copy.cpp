#include <dygrad/layers/base/detail/state_copy.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/simd/instruction_set.h>
#include <dygrad/layers/support/memory_ranges.h>

namespace dygrad::detail {

std::string describe(const Tensor& x) {
  return x.defined() ? fmt::format("{} {}", x.dtype(), x.shape()) : "an undefined tensor";
}

namespace {

bool fits(const Tensor& source, const Tensor& place) {
  return source.defined() && source.shape() == place.shape() && source.dtype() == place.dtype();
}

}  // namespace

LoadReport compare_states(const StateDict& own, const StateDict& given) {
  LoadReport report;
  for (const auto& [name, place] : own) {
    const Tensor* source = given.find(name);
    if (!source) {
      report.missing.push_back(name);
    } else if (!fits(*source, place)) {
      report.mismatched.push_back(fmt::format("{}: expected {}, got {}", name, describe(place), describe(*source)));
    }
  }
  for (const auto& [name, tensor] : given) {
    if (!own.contains(name)) report.unexpected.push_back(name);
  }
  return report;
}

StateCopy::StateCopy(const StateDict& own, const StateDict& given) {
  (void)kernel::instruction_set();  // throws where its variable has an unknown value, and commit() must not
  MemoryRanges written;
  for (const auto& [name, place] : own) written.add(place);
  written.sort();
  for (const auto& [name, place] : own) {
    const Tensor* found = given.find(name);
    if (!found || !fits(*found, place) || found->is_same(place)) continue;
    // A source that lies in the memory of any place could change before its turn.
    const Tensor& source = *found;
    copies_.push_back({written.overlaps(source) ? kernel::clone(source) : source, place});
  }
}

void StateCopy::commit() const noexcept {
  for (const Copy& copy : copies_) {
    copy.place.impl()->storage->bump_version();
    kernel::copy(copy.source, copy.place);
  }
}

}  // namespace dygrad::detail
