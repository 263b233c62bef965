// expect(): how these lessons prove what they say. Each claim is checked as it is printed, and a false one fails the
// run.
#pragma once

#include <iostream>
#include <string_view>

inline bool all_true = true;

inline void expect(bool truth, std::string_view claim) {
  std::cout << (truth ? "  true:  " : "  FALSE: ") << claim << '\n';
  all_true = all_true && truth;
}

/// What main() returns.
inline int verdict() { return all_true ? 0 : 1; }
