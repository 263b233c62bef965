#include <dygrad/layers/state_copy.h>

#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <dygrad/core/copy.h>
#include <dygrad/core/message.h>

namespace dygrad::detail {

namespace {

std::string describe(const Tensor& x) {
  return x.defined() ? fmt::format("{} {}", x.dtype(), x.shape()) : "an undefined tensor";
}

bool fits(const Tensor& source, const Tensor& place) {
  return source.defined() && source.shape() == place.shape() && source.dtype() == place.dtype();
}

}  // namespace

LoadReport compare_states(const StateDict& own, const StateDict& given) {
  LoadReport report;
  std::unordered_map<std::string_view, const Tensor*> left;
  for (const auto& [name, tensor] : given) left.emplace(name, &tensor);
  for (const auto& [name, place] : own) {
    const auto found = left.find(name);
    if (found == left.end()) {
      report.missing.push_back(name);
      continue;
    }
    const Tensor& source = *found->second;
    if (!fits(source, place)) {
      report.mismatched.push_back(fmt::format("{}: expected {}, got {}", name, describe(place), describe(source)));
    }
    left.erase(found);
  }
  for (const auto& [name, tensor] : given) {
    if (left.contains(name)) report.unexpected.push_back(name);
  }
  return report;
}

StateCopy::StateCopy(const StateDict& own, const StateDict& given) {
  std::unordered_map<std::string_view, const Tensor*> sources;
  for (const auto& [name, tensor] : given) sources.emplace(name, &tensor);
  std::unordered_set<const Storage*> written;
  for (const auto& [name, place] : own) written.insert(place.impl()->storage.get());
  for (const auto& [name, place] : own) {
    const auto found = sources.find(name);
    if (found == sources.end() || !fits(*found->second, place) || found->second->is_same(place)) continue;
    // A source that lies in the memory of any place could change before its turn.
    const Tensor& source = *found->second;
    copies_.push_back({written.contains(source.impl()->storage.get()) ? raw::clone(source) : source, place});
  }
}

void StateCopy::commit() const noexcept {
  for (const Copy& copy : copies_) {
    copy.place.impl()->storage->bump_version();
    raw::copy(copy.source, copy.place);
  }
}

}  // namespace dygrad::detail
