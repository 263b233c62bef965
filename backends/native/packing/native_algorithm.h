// What the algorithms of this backend share: the row of native.cpp's table that names them, and the element type.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/packing/precision.h>

namespace dygrad::native {

/// (kind, name) identifies an algorithm. Without a kind it takes the three convolutions alike.
struct AlgorithmKey {
  std::optional<Problem::Kind> kind;
  std::string_view name;
  MathMode math_mode = MathMode::standard;  ///< bfloat16: operands are rounded, where problems allow it
};

using MakeAlgorithm = std::unique_ptr<Algorithm>(const AlgorithmKey& key);

class NativeAlgorithm : public SplitK {
 public:
  explicit NativeAlgorithm(const AlgorithmKey& key) : key_(key), precision_(key.math_mode) {}

  std::string_view name() const final { return key_.name; }
  std::string implementation(const Problem&) const final { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const final {
    const bool is_kind = key_.kind ? problem.kind == *key_.kind : problem.kind != Problem::Kind::matmul;
    return is_kind && supports_sizes(problem);
  }

 protected:
  /// For problems of the algorithm's kind.
  virtual bool supports_sizes(const Problem& problem) const { return precision_.supports(problem); }

  const Precision& precision() const { return precision_; }
  /// Returns f.template operator()<T>() with T = float, double or Bf16Pair.
  template <class F>
  decltype(auto) dispatch(const Problem& problem, const F& f) const {
    return precision_.dispatch(problem.dtype, name(), f);
  }

 private:
  AlgorithmKey key_;
  Precision precision_;
};

}  // namespace dygrad::native
