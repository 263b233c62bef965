#include <dygrad/core/base/dtype.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using dygrad::testing::MessageContains;

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
  CHECK_THROWS_MATCHES(dtype_from_name("float16"), DtypeError, MessageContains("float16", "float32", "int64", "bool"));
}

TEST_CASE("dispatch refuses dtypes outside of its family and names the op") {
  const auto nothing = []<class T>() {};
  CHECK_THROWS_MATCHES(dispatch_float(int64, "exp", nothing), DtypeError, MessageContains("exp", "int64"));
  CHECK_THROWS_MATCHES(dispatch_numeric(boolean, "add", nothing), DtypeError, MessageContains("add", "bool"));
  CHECK_NOTHROW(dispatch_numeric(uint8, "add", nothing));
}

TEST_CASE("a dtype or memory format outside of the list is refused") {
  const auto dtype = static_cast<DType>(9);
  CHECK_THROWS_MATCHES(zeros({2}, dtype), DtypeError,
                       MessageContains("a value outside of the list", "float32", "got 9", "fix"));
  CHECK_THROWS_AS(arange(3).to(dtype), DtypeError);
  CHECK_THROWS_MATCHES(Tensor::empty({1, 2, 3, 4}, float32, static_cast<MemoryFormat>(7)), InvalidArgument,
                       MessageContains("memory format", "channels_last", "got 7", "fix"));
}
