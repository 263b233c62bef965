#include <dygrad/core/tensor/print.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

constexpr std::string_view kPrefix = "tensor(";

/// Which elements of a tensor are shown, and in what order: a walk over the shown indices of each dimension.
class Window {
 public:
  Window(const Tensor& tensor, const PrintOptions& options)
      : tensor_(tensor),
        edge_(std::clamp<std::int64_t>(options.edge_items, 1, std::int64_t{1} << 61)),  // twice it is a number, too
        summarised_(tensor.num_elements() > options.threshold) {}

  bool shortens(int dim) const { return summarised_ && extent(dim) > 2 * edge_; }
  std::int64_t num_shown(int dim) const { return shortens(dim) ? 2 * edge_ : extent(dim); }
  /// True if the gap of a shortened dimension lies before its i-th shown index.
  bool has_gap_before(int dim, std::int64_t i) const { return shortens(dim) && i == edge_; }

  /// Calls f(offset) for each shown element, in row-major order.
  template <class F>
  void for_each(const F& f, int dim = 0, std::int64_t offset = 0) const {
    if (dim == tensor_.rank()) return f(offset);
    for (std::int64_t i = 0; i < num_shown(dim); ++i) {
      const std::int64_t index = shortens(dim) && i >= edge_ ? extent(dim) - 2 * edge_ + i : i;
      for_each(f, dim + 1, offset + index * tensor_.strides()[dim]);
    }
  }

 private:
  std::int64_t extent(int dim) const { return tensor_.shape()[dim]; }

  const Tensor& tensor_;
  std::int64_t edge_;
  bool summarised_;
};

using Cells = std::vector<std::string>;

/// The double whose decimal form is as short as the value's own: 0.1F becomes 0.1, not 0.100000001490116.
template <class T>
double shortest(T value) {
  if (std::isnan(value)) return std::numeric_limits<double>::quiet_NaN();  // a NaN's sign says nothing
  const std::string text = fmt::format("{}", value);
  double result = static_cast<double>(value);
  if (std::isfinite(value)) std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

/// "1.2500" becomes "1.25", "1.0000" becomes "1.".
void trim_zeros(std::string& text) {
  if (text.find('.') == std::string::npos) text += '.';
  text.erase(text.find_last_not_of('0') + 1);
}

Cells fixed_cells(const std::vector<double>& values, int precision) {
  Cells cells;
  std::size_t digits = 0;  // after the point, longest of all
  for (double value : values) {
    std::string text = fmt::format("{:.{}f}", value, precision);
    if (std::isfinite(value)) {
      trim_zeros(text);
      digits = std::max(digits, text.size() - text.find('.') - 1);
    }
    cells.push_back(std::move(text));
  }
  for (std::string& cell : cells) {
    if (const auto point = cell.find('.'); point != std::string::npos) cell.resize(point + 1 + digits, ' ');
  }
  return cells;
}

Cells scientific_cells(const std::vector<double>& values, int precision) {
  std::size_t digits = 0;
  for (double value : values) {
    if (!std::isfinite(value)) continue;
    const std::string text = fmt::format("{:.{}e}", value, precision);
    std::string mantissa = text.substr(0, text.find('e'));
    trim_zeros(mantissa);
    digits = std::max(digits, mantissa.size() - mantissa.find('.') - 1);
  }
  Cells cells;
  for (double value : values)
    cells.push_back(std::isfinite(value) ? fmt::format("{:#.{}e}", value, digits) : fmt::format("{}", value));
  return cells;
}

Cells float_cells(const std::vector<double>& values, int precision) {
  double least = HUGE_VAL, most = 0;
  for (double value : values) {
    if (!std::isfinite(value) || value == 0) continue;
    least = std::min(least, std::abs(value));
    most = std::max(most, std::abs(value));
  }
  // numpy's rule for when fixed notation would hide digits or grow too wide.
  const bool scientific = most > 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
  return scientific ? scientific_cells(values, precision) : fixed_cells(values, precision);
}

Cells make_cells(const Tensor& tensor, const Window& window, int precision) {
  Cells cells = dispatch_all(tensor.dtype(), [&]<class T>() {
    const T* data = tensor.data<T>();
    if constexpr (std::is_floating_point_v<T>) {
      std::vector<double> values;
      window.for_each([&](std::int64_t offset) { values.push_back(shortest(data[offset])); });
      return float_cells(values, precision);
    } else {
      Cells texts;
      window.for_each([&](std::int64_t offset) { texts.push_back(fmt::format("{}", data[offset])); });
      return texts;
    }
  });
  std::size_t width = 0;
  for (const std::string& cell : cells) width = std::max(width, cell.size());
  for (std::string& cell : cells) cell.insert(0, width - cell.size(), ' ');
  return cells;
}

/// Writes cells in nested brackets.
class Layout {
 public:
  Layout(const Tensor& tensor, const Window& window, const Cells& cells, std::size_t line_width)
      : window_(window),
        rank_(tensor.rank()),
        next_(cells.begin()),
        width_(line_width),
        text_(kPrefix),
        column_(kPrefix.size()) {
    write(0);
  }
  std::string text() && { return std::move(text_); }
  std::size_t column() const { return column_; }

 private:
  void put(std::string_view piece) {
    text_ += piece;
    column_ += piece.size();
  }
  /// Starts a line below the first element of brackets that `dim` others enclose.
  void new_line(int dim, int blank_lines) {
    text_.append(static_cast<std::size_t>(blank_lines) + 1, '\n');
    column_ = 0;
    put(std::string(kPrefix.size() + static_cast<std::size_t>(dim) + 1, ' '));
  }
  void item(std::string_view piece, bool is_last) {
    // Room for the comma or the closing brackets too.
    const std::size_t tail = is_last ? static_cast<std::size_t>(rank_) : 1;
    if (text_.back() != '[' && column_ + 1 + piece.size() + tail > width_) new_line(rank_ - 1, 0);
    else if (text_.back() == ',') put(" ");
    put(piece);
  }
  void write(int dim) {
    if (dim == rank_) return put(*next_++);
    put("[");
    const std::int64_t count = window_.num_shown(dim);
    for (std::int64_t i = 0; i < count; ++i) {
      if (dim == rank_ - 1) {
        if (window_.has_gap_before(dim, i)) item("...,", false);
        item(*next_++, i + 1 == count);
      } else {
        if (i > 0) new_line(dim, rank_ - dim - 2);
        if (window_.has_gap_before(dim, i)) {
          put("...,");
          new_line(dim, rank_ - dim - 2);
        }
        write(dim + 1);
      }
      if (i + 1 < count) put(",");
    }
    put("]");
  }

  const Window& window_;
  int rank_;
  Cells::const_iterator next_;
  std::size_t width_;
  std::string text_;
  std::size_t column_;
};

std::string print(const Tensor& tensor, const PrintOptions& options) {
  if (!tensor.defined()) return "tensor(undefined)";
  const std::string facts = fmt::format("shape={}, dtype={})", to_string(tensor.shape()), name_of(tensor.dtype()));
  if (tensor.num_elements() == 0) return fmt::format("{}[], {}", kPrefix, facts);
  const Window window(tensor, options);
  const Cells cells = make_cells(tensor, window, std::clamp(options.precision, 0, 17));
  Layout layout(tensor, window, cells, options.line_width);
  const bool fits = layout.column() + 2 + facts.size() <= options.line_width;
  return std::move(layout).text() + (fits ? ", " : ",\n" + std::string(kPrefix.size(), ' ')) + facts;
}

}  // namespace

std::string to_string(const Tensor& tensor, const PrintOptions& options) {
  return detail::with_out_of_memory("to_string", [&] { return print(tensor, options); });
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << to_string(tensor); }

}  // namespace dygrad
