#include <dygrad/autograd/ops/conv2d_options.h>

#include <algorithm>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {
std::string upper(std::string_view word) {
  std::string result(word);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

DataFormat::Order order_from_name(std::string_view name) {
  if (name == "NCHW") return DataFormat::NCHW;
  if (name == "NHWC") return DataFormat::NHWC;
  throw InvalidArgument(
      Message("data_format", "unknown order of dimensions.").expected("\"NCHW\" or \"NHWC\"").got("\"{}\"", name));
}
}  // namespace

Padding2D::Padding2D(std::string_view word) {
  const std::string name = upper(word);
  if (name == "SAME") form_ = Form::same;
  else if (name == "VALID") form_ = Form::valid;
  else {
    throw InvalidArgument(Message("padding", "unknown word.")
                              .expected("\"SAME\" or \"VALID\"")
                              .got("\"{}\"", word)
                              .fix("or give numbers, such as 1, {{1, 2}} or {{top, bottom, left, right}}"));
  }
}

DataFormat::DataFormat(const char* name) : order_(order_from_name(name)) {}
DataFormat::DataFormat(const std::string& name) : order_(order_from_name(name)) {}

}  // namespace dygrad
