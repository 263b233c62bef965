#include <dygrad/core/base/dtype.h>

#include <dygrad/core/base/error.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using dygrad::testing::Says;

TEST_CASE("every dtype has a name that leads back to it") {
  for (DType dtype : {float32, float64, int64, uint8, boolean}) {
    CHECK(dtype_from_name(name_of(dtype)) == dtype);
    dispatch_all(dtype, [&]<class T>() {
      CHECK(dtype_of<T>() == dtype);
      CHECK(sizeof(T) == size_of(dtype));
    });
  }
  CHECK(DType(DTypeLike("float64")) == float64);
}

TEST_CASE("an unknown dtype name is answered with the known ones") {
  CHECK_THROWS_MATCHES(dtype_from_name("float16"), DtypeError, Says("float16", "float32", "int64", "bool"));
}

TEST_CASE("dispatch refuses dtypes outside of its family and names the op") {
  const auto nothing = []<class T>() {};
  CHECK_THROWS_MATCHES(dispatch_float(int64, "exp", nothing), DtypeError, Says("exp", "int64"));
  CHECK_THROWS_MATCHES(dispatch_numeric(boolean, "add", nothing), DtypeError, Says("add", "bool"));
  CHECK_NOTHROW(dispatch_numeric(uint8, "add", nothing));
}
