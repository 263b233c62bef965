// Names of layers and parameters: unique within a scope, counted per kind, as in Paddle (`conv2d_transpose_0.w_0`).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>

#include <dygrad/core/base/export.h>

namespace dygrad {

namespace detail {

class NameScope;

/// A name taken in the scope it was claimed in, and free again when this object goes. Empty if default-made or moved
/// from.
class DYGRAD_API NameClaim {
 public:
  NameClaim() = default;
  ~NameClaim();
  NameClaim(NameClaim&& other) noexcept;
  NameClaim& operator=(NameClaim&& other) noexcept;
  const std::string& name() const { return name_; }

 private:
  friend class NameScope;
  NameClaim(std::shared_ptr<NameScope> scope, std::string name);
  std::shared_ptr<NameScope> scope_;
  std::string name_;
};

/// Throws InvalidArgument if a living parameter of the current scope has this name, or if it is empty.
void check_parameter_name(const std::string& name);
/// Takes a name that the user gave; errors as check_parameter_name.
NameClaim claim_parameter_name(const std::string& name);
/// Takes `stem` + "_" + the first number from `next` on that is free, and moves `next` behind it.
NameClaim claim_numbered_name(const std::string& stem, int& next);
/// "parameter" -> "parameter_0", "parameter_1", ...: the next of the scope's count that is free.
NameClaim claim_counted_name(const std::string& stem);
/// "linear" -> "linear_0", "linear_1", ...: counted per scope, never reused in it.
std::string next_layer_name(const std::string& stem);

/// "a::(anonymous namespace)::Net<b::T>" -> "Net"; "a lambda" for one.
DYGRAD_API std::string class_name(const std::type_info& type);

/// "Conv2DTranspose" -> "conv2d_transpose", "PRelu" -> "p_relu", "UNet" -> "u_net": Paddle's rule.
DYGRAD_API std::string snake_case(std::string_view class_name);

}  // namespace detail

/// While alive, names made on this thread come from a fresh scope, so that counters start at 0 again; Paddle's
/// guard(). Parameters keep their names afterwards. Nests. Without a guard all threads share one scope.
class DYGRAD_API UniqueNameGuard {
 public:
  UniqueNameGuard();
  ~UniqueNameGuard();
  UniqueNameGuard(const UniqueNameGuard&) = delete;
  UniqueNameGuard& operator=(const UniqueNameGuard&) = delete;

 private:
  std::shared_ptr<detail::NameScope> previous_;
};

}  // namespace dygrad
