#include <dygrad/layers/parameter_list.h>

#include <utility>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

ParameterList::ParameterList(std::initializer_list<Parameter> parameters) {
  for (const Parameter& parameter : parameters) append(parameter);
}

void ParameterList::append(Parameter parameter) {
  items_.push_back(&add_parameter(std::to_string(size()), std::move(parameter)));
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
  std::vector<Parameter> parameters;
  for (const Parameter* item : items_) parameters.push_back(*item);
  return parameters;
}

}  // namespace dygrad
