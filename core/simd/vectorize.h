// vectorize: compiles a loop once for each generation of vector instructions and runs the widest that this processor
// has, so that a library for every x86-64 still uses the machine it meets.
#pragma once

#include <dygrad/core/simd/instruction_set.h>

// Code that is compiled for at least AVX2, and other processors, need a single version.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__AVX2__)
#define DYGRAD_VECTOR_VERSIONS 1
#else
#define DYGRAD_VECTOR_VERSIONS 0
#endif

// Tells the vectoriser that iterations do not depend on each other, although output and input may be the same memory.
#if defined(__clang__)
#define DYGRAD_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define DYGRAD_IVDEP _Pragma("GCC ivdep")
#endif

namespace dygrad::kernel {

#if DYGRAD_VECTOR_VERSIONS

namespace detail {
// Flattening brings the loop, and all that it calls, under the instruction set of the function around it.
template <class Body>
[[gnu::flatten, gnu::noinline, gnu::target("arch=x86-64-v4")]] void run_avx512(const Body& body) {
  body();
}
template <class Body>
[[gnu::flatten, gnu::noinline, gnu::target("arch=x86-64-v3")]] void run_avx2(const Body& body) {
  body();
}
template <class Body>
[[gnu::flatten, gnu::noinline]] void run_baseline(const Body& body) {
  body();
}
}  // namespace detail

/// Calls body(): one loop, or a few, without recursion. Results do not depend on the set: nothing is fused or
/// reordered.
template <class Body>
void vectorize(const Body& body, InstructionSet set = instruction_set()) {
  switch (set) {
    case InstructionSet::avx512: return detail::run_avx512(body);
    case InstructionSet::avx2: return detail::run_avx2(body);
    case InstructionSet::baseline: return detail::run_baseline(body);
  }
}

#else

template <class Body>
void vectorize(const Body& body, InstructionSet = InstructionSet::baseline) {
  body();
}

#endif

}  // namespace dygrad::kernel
