#include <dygrad/tests/property/values.h>

namespace dygrad::testing {

Real Values::operator()(const Dims& index) const { return at[static_cast<std::size_t>(place_in(shape, index))]; }

std::int64_t plain_count(const Shape& shape) {
  __extension__ using Wide = __int128;
  Wide product = 1;
  bool is_empty = false;
  for (std::int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent == 0) is_empty = true;
    else product *= extent;
    if (product > Wide{1} << 60) return -1;
  }
  return is_empty ? 0 : static_cast<std::int64_t>(product);
}

std::int64_t place_in(const Shape& shape, const Dims& index) {
  std::int64_t place = 0;
  for (int i = 0; i < shape.rank(); ++i) place = place * shape[i] + index[i];
  return place;
}

Values read(const Tensor& x) {
  const auto element = [&x](std::int64_t place) -> Real {
    switch (x.dtype()) {
      case DType::float32: return static_cast<Real>(x.data<float>()[place]);
      case DType::float64: return static_cast<Real>(x.data<double>()[place]);
      case DType::int64: return static_cast<Real>(x.data<std::int64_t>()[place]);
      default: return static_cast<Real>(x.data<std::uint8_t>()[place]);
    }
  };
  return make_values(x.shape(), [&](const Dims& index) {
    std::int64_t place = 0;
    for (int i = 0; i < x.rank(); ++i) place += index[i] * x.strides()[i];
    return element(place);
  });
}

}  // namespace dygrad::testing
