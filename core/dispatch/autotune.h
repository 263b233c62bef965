// Autotuning: instead of trusting estimates, time every algorithm on the first real operands of a problem, and
// remember.
//
// Off by default, since which of two equally fast algorithms wins may differ from run to run, and with it the last bits
// of results. A saved table makes a program start tuned and repeat its bits.
#pragma once

#include <cstddef>
#include <string>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// Writes the choices made so far, by all threads: one line per problem, sorted. All of the file or nothing.
/// Throws IoError.
DYGRAD_API void save_autotune(const std::string& path);

/// Adds the choices in a file written by save_autotune; each holds on any thread, also where autotuning is off. Choices
/// of algorithms that this build lacks are left out. Returns how many were taken. Throws IoError.
DYGRAD_API std::size_t load_autotune(const std::string& path);

/// Forgets everything tuned and loaded.
DYGRAD_API void clear_autotune();

}  // namespace dygrad
