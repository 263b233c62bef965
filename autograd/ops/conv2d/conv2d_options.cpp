#include <dygrad/autograd/ops/conv2d/conv2d_options.h>

#include <algorithm>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

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
      Message("data_format", "unknown order of dimensions.")
          .line("an option of Conv2D, Conv2DTranspose, BatchNorm, Pool2D, conv2d and conv2d_transpose")
          .expected("\"NCHW\" or \"NHWC\"")
          .got("\"{}\"", name)
          .fix("{}", upper(name).ends_with("C") ? "use \"NHWC\" for images whose channels come last"
                                                : "use \"NCHW\", the default, for images whose channels come first"));
}
}  // namespace

Padding2D::Padding2D(std::string_view word) {
  const std::string name = upper(word);
  if (name == "SAME") form_ = Form::same;
  else if (name == "VALID") form_ = Form::valid;
  else {
    throw InvalidArgument(
        Message("padding", "unknown word.")
            .line("an option of Conv2D, Conv2DTranspose, conv2d and conv2d_transpose")
            .expected("\"SAME\" or \"VALID\"")
            .got("\"{}\"", word)
            .fix("use one of these words, or give numbers, such as 1, {{1, 2}} or {{top, bottom, left, right}}"));
  }
}

DataFormat::DataFormat(const char* name) : order_(order_from_name(name)) {}
DataFormat::DataFormat(const std::string& name) : order_(order_from_name(name)) {}

}  // namespace dygrad
