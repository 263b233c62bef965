// A table on standard output whose rows appear as they are measured.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <vector>

namespace dygrad::bench {

struct Column {
  std::string title;
  int width;
  bool left = false;  ///< words to the left, numbers to the right
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void header() const {
    std::vector<std::string> titles;
    for (const Column& column : columns_) titles.push_back(column.title);
    row(titles);
  }
  void row(const std::vector<std::string>& cells) const {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += columns_[i].left ? fmt::format("{:<{}}  ", cells[i], columns_[i].width)
                               : fmt::format("{:>{}}  ", cells[i], columns_[i].width);
    }
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    std::fflush(stdout);
  }

 private:
  std::vector<Column> columns_;
};

/// Three significant digits or so, without an exponent.
inline std::string number(double value) {
  return fmt::format("{:.{}f}", value, value < 0.1 ? 4 : value < 1 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0);
}

}  // namespace dygrad::bench
