#include <dygrad/core/base/dtype.h>

#include <ostream>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

namespace {
constexpr DType kAll[] = {DType::float32, DType::float64, DType::int64, DType::uint8, DType::boolean};
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    case DType::int64: return "int64";
    case DType::uint8: return "uint8";
    case DType::boolean: return "bool";
  }
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

DType dtype_from_name(std::string_view name) {
  for (DType dtype : kAll) {
    if (name_of(dtype) == name) return dtype;
  }
  throw DtypeError(Message("dtype", "unknown name.")
                       .line("an option of Linear, Conv2D, Conv2DTranspose, BatchNorm and PRelu, and of tensors")
                       .expected("one of float32, float64, int64, uint8, bool")
                       .got("\"{}\"", name)
                       .fix("use a DType constant such as dygrad::float32, or its exact name"));
}

void detail::fail_unknown_dtype(DType dtype) {
  throw DtypeError(Message("dtype", "a value outside of the list.")
                       .expected("one of float32, float64, int64, uint8, bool")
                       .got("{}", static_cast<int>(dtype))
                       .fix("use a DType constant such as dygrad::float32"));
}

void detail::fail_not_floating(std::string_view op, DType dtype) {
  throw DtypeError(Message(op, "needs a floating-point tensor.")
                       .expected("dtype float32 or float64")
                       .got("{}", dtype)
                       .fix("convert first: x.to(dygrad::float32)"));
}

void detail::fail_not_numeric(std::string_view op, DType dtype) {
  throw DtypeError(Message(op, "needs a numeric tensor.")
                       .expected("dtype float32, float64, int64 or uint8")
                       .got("{}", dtype)
                       .fix("convert first: x.to(dygrad::int64)"));
}

}  // namespace dygrad
