// One transposed convolution to be timed, as a line of a shapes file describes it. Knows no tensor library: peers read
// it too.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace dygrad::bench {

/// x [n, cin, h, w], w [cin, cout/groups, kh, kw], y [n, cout, oh, ow]; `extra` rows and columns lie at the bottom and
/// right, and are what dygrad and torch call output padding.
struct ConvProblem {
  std::string name;
  std::int64_t n, cin, h, w, cout;
  std::int64_t kh, kw, sh, sw, ph, pw, dh, dw, groups, extra_h, extra_w;

  std::int64_t oh() const { return (h - 1) * sh - 2 * ph + dh * (kh - 1) + 1 + extra_h; }
  std::int64_t ow() const { return (w - 1) * sw - 2 * pw + dw * (kw - 1) + 1 + extra_w; }

  /// Of one direction: forward, data or weights.
  double flop() const {
    return 2.0 * static_cast<double>(n * cin * (cout / groups) * kh * kw) * static_cast<double>(h * w);
  }
  /// Elements of x, w and y together: what one direction must read or write at least.
  double elements() const {
    return static_cast<double>(n * cin * h * w + cin * (cout / groups) * kh * kw + n * cout * oh() * ow());
  }
};

/// Lines of `name n cin h w cout kh kw sh sw ph pw dh dw groups extra_h extra_w`; empty ones and those from # on do not
/// count. Throws std::runtime_error with file and line.
inline std::vector<ConvProblem> read_conv_problems(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  std::vector<ConvProblem> problems;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    line.resize(std::min(line.find('#'), line.size()));
    std::istringstream words(line);
    ConvProblem p{};
    if (!(words >> p.name)) continue;
    for (std::int64_t* value : {&p.n, &p.cin, &p.h, &p.w, &p.cout, &p.kh, &p.kw, &p.sh, &p.sw, &p.ph, &p.pw, &p.dh,
                                &p.dw, &p.groups, &p.extra_h, &p.extra_w}) {
      words >> *value;
    }
    std::string rest;
    if (!words || words >> rest || p.groups < 1 || p.extra_h < 0 || p.extra_w < 0 || p.oh() < 1 || p.ow() < 1) {
      throw std::runtime_error(path + ":" + std::to_string(number) +
                               ": expected name n cin h w cout kh kw sh sw ph pw dh dw groups extra_h extra_w");
    }
    problems.push_back(p);
  }
  return problems;
}

}  // namespace dygrad::bench
