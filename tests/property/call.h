// One call of the library with generated arguments, and what it should do.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dygrad/tests/property/random_source.h>
#include <dygrad/tests/property/tensors.h>
#include <dygrad/tests/property/values.h>

namespace dygrad::testing {

struct Call {
  std::string text;  ///< op and arguments other than tensors
  std::vector<Tensor> inputs;
  std::function<Tensor(std::span<const Tensor>)> run;
  std::optional<Values> expected{};  ///< none: an Error is due
  DType dtype{};                     ///< of the result
  double units = 0;                  ///< error allowed, in units of the dtype's rounding and of Values::size
  bool may_refuse = false;           ///< an Error is right, too: the numbers are extreme
  bool is_unclear = false;           ///< so extreme that a result is right, too, where none is expected
  bool has_gradients = false;        ///< in all floating inputs
  bool is_smooth = true;             ///< derivatives may be compared with differences
  std::vector<Domain> domains{};     ///< of the inputs; none: any
  std::optional<Shape> shape{};      ///< instead of `expected`, for a view too large to look at
};

using MakeCall = Call (*)(Random&);

// Families of ops, each in a file of its own.
Call elementwise_call(Random& random);
Call activation_call(Random& random);
Call view_call(Random& random);
Call move_call(Random& random);
Call index_call(Random& random);
Call reduction_call(Random& random);
Call matmul_call(Random& random);
Call convolution_call(Random& random);
Call pool_call(Random& random);
Call norm_call(Random& random);
Call loss_call(Random& random);
Call factory_call(Random& random);
Call tensor_call(Random& random);

/// Throws std::runtime_error that says what is wrong, if the call does not do what it should. Checks derivatives too:
/// of views against those of dense copies, recorded passes against plain ones, now and then both against differences.
void check(const Call& call, Random& random);

/// The call and its tensors, values included.
std::string describe(const Call& call);

/// -1 if the axis does not exist. Rank 0 has none, or with `of_number` one.
int plain_axis(std::int64_t axis, int rank, bool of_number = false);

}  // namespace dygrad::testing
