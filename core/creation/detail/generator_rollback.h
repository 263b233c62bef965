// GeneratorRollback: a call that draws random numbers and then fails leaves their stream where it was.
#pragma once

#include <dygrad/core/creation/random.h>

namespace dygrad::detail {

/// Puts the generator back when it goes, unless keep() was called. What other threads drew meanwhile is drawn again.
class GeneratorRollback {
 public:
  explicit GeneratorRollback(Generator& generator) : generator_(generator), state_(generator.state()) {}
  ~GeneratorRollback() {
    if (!kept_) generator_.set_state(state_);
  }
  GeneratorRollback(const GeneratorRollback&) = delete;
  GeneratorRollback& operator=(const GeneratorRollback&) = delete;
  void keep() { kept_ = true; }

 private:
  Generator& generator_;
  Generator::State state_;
  bool kept_ = false;
};

}  // namespace dygrad::detail
