#include <dygrad/core/io/detail/npy_format.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <dygrad/core/io/detail/encoding.h>
#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kHeaderUnit = 64;          // bytes; elements begin at a multiple
constexpr std::uint32_t kLongestText = 1 << 16;  // bytes; a header of ours takes about a hundred

struct Header {
  Encoding encoding = Encoding::f32;
  std::endian order = std::endian::little;
  bool fortran_order = false;
  Shape shape;
};

struct Descr {
  std::string_view text;  // without the byte order
  Encoding encoding;
};
constexpr std::array<Descr, 11> kDescrs{{{"f2", Encoding::f16},
                                         {"f4", Encoding::f32},
                                         {"f8", Encoding::f64},
                                         {"i1", Encoding::i8},
                                         {"i2", Encoding::i16},
                                         {"i4", Encoding::i32},
                                         {"i8", Encoding::i64},
                                         {"u1", Encoding::u8},
                                         {"u2", Encoding::u16},
                                         {"u4", Encoding::u32},
                                         {"b1", Encoding::boolean}}};

/// Reads the header's text, a dictionary as Python writes it:
///   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderParser {
 public:
  HeaderParser(const FileContext& context, std::string_view text) : context_(context), rest_(text) {}

  Header parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      bool* seen = key == "descr"           ? &has_descr
                   : key == "fortran_order" ? &has_order
                   : key == "shape"         ? &has_shape
                                            : nullptr;
      if (!seen) fail(context_, "the header has the unknown field {}.", in_quotes(key));
      if (std::exchange(*seen, true)) fail(context_, "the header has two fields {}.", in_quotes(key));
      expect(':');
      if (seen == &has_descr) descr(header);
      else if (seen == &has_order) header.fortran_order = boolean();
      else header.shape = shape();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail(context_, "the header goes on after its end.");
    if (!has_descr || !has_order || !has_shape) fail(context_, "the header lacks descr, fortran_order or shape.");
    return header;
  }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool accept(char c) {
    skip_space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(context_, "the header is malformed: '{}' is missing before {}.", c, in_quotes(rest_));
  }
  std::string_view string() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const auto end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos)
      fail(context_, "the header is malformed: a string is missing before {}.", in_quotes(rest_));
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool boolean() {
    skip_space();
    const bool is_true = rest_.starts_with("True");
    if (!is_true && !rest_.starts_with("False")) fail(context_, "fortran_order is neither True nor False.");
    rest_.remove_prefix(is_true ? 4 : 5);
    return is_true;
  }
  Shape shape() {
    Shape result;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t extent = -1;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc() || extent < 0)
        fail(context_, "an extent is missing, negative or too large before {}.", in_quotes(rest_));
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (result.rank() == kMaxRank) fail(context_, "the array has more than {} dimensions.", kMaxRank);
      result.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }
  void descr(Header& header) {
    const std::string_view text = string();
    const char order = text.empty() ? '\0' : text.front();
    const auto known = std::find_if(kDescrs.begin(), kDescrs.end(),
                                    [&](const Descr& d) { return !text.empty() && d.text == text.substr(1); });
    const bool ordered = order == '<' || order == '>';
    if (known == kDescrs.end() || !(ordered || (order == '|' && size_of(known->encoding) == 1))) {
      throw IoError(about(context_, "the array has a type that dygrad cannot hold.")
                        .expected("f2, f4, f8, i1, i2, i4, i8, u1, u2, u4 or b1")
                        .got("{}", in_quotes(text))
                        .fix("convert it first, in numpy with astype"));
    }
    header.encoding = known->encoding;
    header.order = order == '>' ? std::endian::big : std::endian::little;
  }

  const FileContext& context_;
  std::string_view rest_;
};

/// The header's text, whose length takes two bytes in version 1 and four in versions 2 and 3.
std::string read_header_text(ByteSource& source) {
  std::array<unsigned char, 8> start;
  source.read(std::as_writable_bytes(std::span(start)));
  if (!std::equal(kMagic.begin(), kMagic.end(), start.begin(),
                  [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; })) {
    fail(source.context(), "this is no .npy file: it does not begin with \\x93NUMPY.");
  }
  const int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    fail(source.context(), "unknown version {}.{} of the format.", version, start[7]);
  std::array<unsigned char, 4> length{};
  source.read(std::as_writable_bytes(std::span(length)).first(version == 1 ? 2 : 4));
  const std::uint32_t num_bytes =
      length[0] | std::uint32_t{length[1]} << 8 | std::uint32_t{length[2]} << 16 | std::uint32_t{length[3]} << 24;
  if (num_bytes > kLongestText)
    fail(source.context(), "the header is too long: {} bytes, at most {} are allowed.", num_bytes, kLongestText);
  std::string text(num_bytes, '\0');
  source.read(std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace

std::string make_npy_header(const Tensor& tensor) {
  const Encoding encoding = encoding_of(tensor.dtype());
  const auto descr =
      std::find_if(kDescrs.begin(), kDescrs.end(), [=](const Descr& d) { return d.encoding == encoding; });
  std::string text =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}", size_of(encoding) == 1 ? '|' : '<',
                  descr->text, fmt::join(tensor.shape(), ", "), tensor.rank() == 1 ? "," : "");
  const std::size_t before = kMagic.size() + 4;
  const std::size_t whole = (before + text.size() + 1 + kHeaderUnit - 1) / kHeaderUnit * kHeaderUnit;
  text.resize(whole - before - 1, ' ');
  text += '\n';
  const auto length = static_cast<unsigned>(text.size());
  return std::string(kMagic) + '\x01' + '\x00' + static_cast<char>(length & 0xFFU) + static_cast<char>(length >> 8) +
         text;
}

Tensor read_npy(ByteSource& source, LoadBudget& budget) {
  const std::string text = read_header_text(source);
  const Header header = HeaderParser(source.context(), text).parse();
  const Tensor elements = read_tensor(source, budget, header.shape, header.encoding, header.order);
  if (!header.fortran_order) return elements;
  // The first dimension is the innermost: the same bytes are a row-major array of the reversed shape.
  Shape reversed = header.shape;
  std::reverse(reversed.begin(), reversed.end());
  const Tensor x = *view::reshape(elements, reversed);
  Axes order;
  for (int i = x.rank() - 1; i >= 0; --i) order.push_back(i);
  return dense_form(view::permute(x, order));
}

}  // namespace dygrad::io
