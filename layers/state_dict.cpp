#include <dygrad/layers/state_dict.h>

#include <algorithm>
#include <unordered_set>

#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/core/out_of_memory.h>

namespace dygrad {

namespace {
[[noreturn]] void fail_repeated(const std::string& name) {
  throw InvalidArgument(Message("StateDict", fmt::format("the name \"{}\" is there already.", name))
                            .fix("choose another name, or replace the tensor with set()"));
}
}  // namespace

StateDict::StateDict(Entries entries) : entries_(std::move(entries)) {
  detail::with_out_of_memory("StateDict", [this] {
    std::unordered_set<std::string_view> names;
    for (const auto& [name, tensor] : entries_) {
      if (!names.insert(name).second) fail_repeated(name);
    }
  });
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto found = std::ranges::find(entries_, name, &Entry::first);
  return found == entries_.end() ? nullptr : &found->second;
}

const Tensor& StateDict::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  std::string names;
  for (const auto& entry : entries_) names += (names.empty() ? "" : ", ") + entry.first;
  throw InvalidArgument(Message("StateDict", fmt::format("there is no \"{}\".", name))
                            .line("names: {}", names)
                            .fix("use one of these names, or test with contains()"));
}

void StateDict::insert(std::string name, Tensor tensor) {
  if (contains(name)) fail_repeated(name);
  detail::with_out_of_memory("StateDict", [&] { entries_.emplace_back(std::move(name), std::move(tensor)); });
}

void StateDict::insert_all(const std::string& prefix, const StateDict& other) {
  detail::with_out_of_memory("StateDict", [&] {
    Entries all = entries_;
    all.reserve(entries_.size() + other.size());
    for (const auto& [name, tensor] : other) all.emplace_back(prefix + name, tensor);
    *this = StateDict(std::move(all));
  });
}

void StateDict::set(std::string name, Tensor tensor) {
  const auto found = std::ranges::find(entries_, name, &Entry::first);
  if (found != entries_.end()) found->second = std::move(tensor);
  else detail::with_out_of_memory("StateDict", [&] { entries_.emplace_back(std::move(name), std::move(tensor)); });
}

bool StateDict::erase(std::string_view name) {
  return std::erase_if(entries_, [&](const Entry& entry) { return entry.first == name; }) != 0;
}

StateDict StateDict::with_prefix(std::string_view prefix) const {
  return detail::with_out_of_memory("StateDict", [&] {
    StateDict part;
    for (const auto& [name, tensor] : entries_) {
      if (name.starts_with(prefix)) part.entries_.emplace_back(name.substr(prefix.size()), tensor);
    }
    return part;
  });
}

StateDict StateDict::clone() const {
  return detail::with_out_of_memory("StateDict", [&] {
    StateDict copy;
    for (const auto& [name, tensor] : entries_) copy.entries_.emplace_back(name, raw::clone(tensor));
    return copy;
  });
}

std::string LoadReport::message(std::string_view op, std::string_view owner, std::string_view file) const {
  Message text(op, fmt::format("the state does not fit {}.", owner));
  if (!file.empty()) (void)std::move(text).line("file {}", file);
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    for (const std::string& name : names) (void)std::move(text).line("{} {}", what, name);  // adds in place
  };
  list("missing", missing);
  list("unexpected", unexpected);
  list("mismatched", mismatched);
  (void)std::move(text).fix("load a state that was saved by the same layers and optimizer");
  std::string lines = std::move(text);
  return lines;
}

}  // namespace dygrad
