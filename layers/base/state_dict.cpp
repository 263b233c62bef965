#include <dygrad/layers/base/state_dict.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {
[[noreturn]] void fail_repeated(const std::string& name) {
  throw InvalidArgument(Message("StateDict", "the name \"{}\" is there already.", name)
                            .fix("choose another name, or replace the tensor with set()"));
}

std::string text_of(const LoadReport& report, std::string_view op, std::string_view owner, std::string_view file) {
  Message text(op, fmt::format("the state does not fit {}.", owner));
  if (!file.empty()) (void)std::move(text).line("file {}", file);
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    for (const std::string& name : names) (void)std::move(text).line("{} {}", what, name);  // adds in place
  };
  list("missing", report.missing);
  list("unexpected", report.unexpected);
  list("mismatched", report.mismatched);
  (void)std::move(text).fix("load a state that was saved by the same layers and optimizer");
  std::string lines = std::move(text);
  return lines;
}
}  // namespace

StateDict::StateDict(Entries entries) {
  for (auto& [name, tensor] : entries) {
    if (contains(name)) fail_repeated(name);
    append(std::move(name), std::move(tensor));
  }
}

StateDict::StateDict(const StateDict& other) {
  detail::with_out_of_memory("StateDict", [&] {
    for (const auto& [name, tensor] : other) append(name, tensor);
  });
}
StateDict& StateDict::operator=(const StateDict& other) {
  if (this != &other) *this = StateDict(other);
  return *this;
}

StateDict::Entries StateDict::entries() const {
  return detail::with_out_of_memory("StateDict", [this] { return Entries(entries_.begin(), entries_.end()); });
}

bool StateDict::append(std::string name, Tensor tensor) {
  return detail::with_out_of_memory("StateDict", [&] {
    std::list<Entry> added;
    added.emplace_back(std::move(name), std::move(tensor));
    if (!place_of_.emplace(added.front().first, added.begin()).second) return false;
    entries_.splice(entries_.end(), added);
    return true;
  });
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto found = place_of_.find(name);
  return found == place_of_.end() ? nullptr : &found->second->second;
}

const Tensor& StateDict::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  return detail::with_out_of_memory("StateDict", [&]() -> const Tensor& {
    std::string names;
    for (const auto& entry : entries_) names += (names.empty() ? "" : ", ") + entry.first;
    throw InvalidArgument(Message("StateDict", "there is no \"{}\".", name)
                              .line("names: {}", names)
                              .fix("use one of these names, or test with contains()"));
  });
}

void StateDict::insert(std::string name, Tensor tensor) {
  if (contains(name)) fail_repeated(name);
  append(std::move(name), std::move(tensor));
}

void StateDict::insert_all(const std::string& prefix, const StateDict& other) {
  detail::with_out_of_memory("StateDict", [&] {
    if (this == &other) return insert_all(prefix, StateDict(other));
    const std::size_t before = entries_.size();
    try {
      for (const auto& [name, tensor] : other) insert(prefix + name, tensor);
    } catch (...) {
      while (entries_.size() > before) erase(entries_.back().first);
      throw;
    }
  });
}

void StateDict::set(std::string name, Tensor tensor) {
  const auto found = place_of_.find(name);
  if (found != place_of_.end()) found->second->second = std::move(tensor);
  else append(std::move(name), std::move(tensor));
}

bool StateDict::erase(std::string_view name) {
  const auto found = place_of_.find(name);
  if (found == place_of_.end()) return false;
  const auto place = found->second;
  place_of_.erase(found);
  entries_.erase(place);
  return true;
}

StateDict StateDict::with_prefix(std::string_view prefix) const {
  return detail::with_out_of_memory("StateDict", [&] {
    StateDict part;
    for (const auto& [name, tensor] : entries_) {
      if (name.starts_with(prefix)) part.append(name.substr(prefix.size()), tensor);
    }
    return part;
  });
}

StateDict StateDict::clone() const {
  return detail::with_out_of_memory("StateDict", [&] {
    StateDict copy;
    for (const auto& [name, tensor] : entries_) copy.append(name, kernel::clone(tensor));
    return copy;
  });
}

std::string LoadReport::message(std::string_view op, std::string_view owner, std::string_view file) const {
  return detail::with_out_of_memory(op, [&] { return text_of(*this, op, owner, file); });
}

}  // namespace dygrad
