#include <dygrad/layers/base/parameter_list.h>

#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

ParameterList::ParameterList() { has_positions_ = true; }

ParameterList::ParameterList(std::initializer_list<Parameter> parameters) : ParameterList() {
  for (const Parameter& parameter : parameters) append(parameter);
}

void ParameterList::append(Parameter parameter) {
  detail::with_out_of_memory("append", [&] {
    if (items_.size() == items_.capacity()) items_.reserve(2 * items_.size() + 4);  // before anything changes
    items_.push_back(&own_parameter("append", std::to_string(size()), std::move(parameter)));
  });
}

Parameter& ParameterList::operator[](std::int64_t position) const {
  const std::int64_t from_front = position < 0 ? position + size() : position;
  if (from_front < 0 || from_front >= size()) {
    throw InvalidArgument(Message("ParameterList", "the position is out of range.")
                              .expected("{} <= position < {}", -size(), size())
                              .got("{}", position)
                              .fix("count from 0, or from -1 for the last one"));
  }
  return *items_[static_cast<std::size_t>(from_front)];
}

std::vector<Parameter> ParameterList::items() const {
  return detail::with_out_of_memory("items", [&] {
    std::vector<Parameter> parameters;
    for (const Parameter* item : items_) parameters.push_back(*item);
    return parameters;
  });
}

}  // namespace dygrad
