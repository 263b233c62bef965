// Runs a program and returns what it printed. For the architecture tests, which ask the compiler and nm.
#pragma once

#include <cstdio>
#include <string>

namespace dygrad::testing {

struct CommandResult {
  int status = -1;
  std::string output;  // of both streams
};

inline CommandResult run_command(const std::string& command) {
  CommandResult result;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return result;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.output.append(buffer, n);
  result.status = pclose(pipe);
  return result;
}

}  // namespace dygrad::testing
