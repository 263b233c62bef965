// Where and with what a benchmark ran, and how much memory its process took.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

namespace dygrad::bench {

/// The text after `key` and a colon in a file of /proc; empty if there is none.
inline std::string proc_field(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t first = line.find_first_not_of(" \t", colon + 1);
    return colon == std::string::npos || first == std::string::npos ? "" : line.substr(first);
  }
  return "";
}

/// Mebibytes of the largest resident set this process has had.
inline double peak_memory_mib() {
  std::istringstream kibibytes(proc_field("/proc/self/status", "VmHWM"));
  double value = 0;
  kibibytes >> value;
  return value / 1024;
}

inline nlohmann::ordered_json machine() {
  return {{"processor", proc_field("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"compiler", __VERSION__}};
}

}  // namespace dygrad::bench
