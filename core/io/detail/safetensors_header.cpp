#include <dygrad/core/io/detail/safetensors_header.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

namespace {

constexpr std::array<std::pair<std::string_view, Encoding>, 12> kNames{{{"F16", Encoding::f16},
                                                                        {"BF16", Encoding::bf16},
                                                                        {"F32", Encoding::f32},
                                                                        {"F64", Encoding::f64},
                                                                        {"I8", Encoding::i8},
                                                                        {"U8", Encoding::u8},
                                                                        {"I16", Encoding::i16},
                                                                        {"U16", Encoding::u16},
                                                                        {"I32", Encoding::i32},
                                                                        {"U32", Encoding::u32},
                                                                        {"I64", Encoding::i64},
                                                                        {"BOOL", Encoding::boolean}}};

/// Takes the header apart while it is parsed, so that nesting, repeated keys and sizes are judged as they come and no
/// tree of unknown size is ever built:
///   {"__metadata__": {string: string, ...}, name: {"dtype": string, "shape": [n, ...], "data_offsets": [begin, end]},
///   ...}
class HeaderParser final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderParser(const FileContext& context, SafetensorsHeader& header) : context_(context), header_(header) {}

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::start: state_ = State::top; return true;
      case State::top_value: state_ = is_metadata_ ? State::metadata : State::entry; return true;
      default: unexpected("an object");
    }
  }
  bool key(string_t& name) override {
    switch (state_) {
      case State::top: begin_entry(name); break;
      case State::metadata:
        key_ = name;
        if (header_.metadata.contains(name)) fail(context_, "the metadata key {} is repeated.", in_quotes(name));
        state_ = State::metadata_value;
        break;
      default: begin_field(name); break;
    }
    return true;
  }
  bool string(string_t& value) override {
    if (state_ == State::metadata_value) {
      header_.metadata.emplace(key_, value);
      state_ = State::metadata;
    } else if (state_ == State::dtype_value) {
      const auto known =
          std::find_if(kNames.begin(), kNames.end(), [&](const auto& pair) { return pair.first == value; });
      if (known == kNames.end()) {
        throw IoError(about(context_, "a tensor has a type that dygrad cannot hold.")
                          .line("tensor {}", in_quotes(entry_.name))
                          .expected("F16, BF16, F32, F64, I8, U8, I16, U16, I32, U32, I64 or BOOL")
                          .got("{}", in_quotes(value))
                          .fix("convert it to one of these where it was made"));
      }
      entry_.encoding = known->second;
      state_ = State::entry;
    } else {
      unexpected("a string");
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (state_ == State::shape_value) state_ = State::shape;
    else if (state_ == State::offsets_value) state_ = State::offsets;
    else unexpected("an array");
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::shape) {
      if (entry_.shape.rank() == kMaxRank)
        fail(context_, "tensor {} has more than {} dimensions.", in_quotes(entry_.name), kMaxRank);
      if (value > static_cast<std::uint64_t>(INT64_MAX))
        fail(context_, "tensor {} has an extent of {}.", in_quotes(entry_.name), value);
      entry_.shape.push_back(static_cast<std::int64_t>(value));
    } else if (state_ == State::offsets) {
      if (num_offsets_ == 2) fail(context_, "tensor {} has more than two data_offsets.", in_quotes(entry_.name));
      (num_offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    } else {
      unexpected("a number");
    }
    return true;
  }
  bool end_array() override {
    if (state_ == State::offsets && num_offsets_ != 2)
      fail(context_, "tensor {} needs two data_offsets.", in_quotes(entry_.name));
    state_ = State::entry;
    return true;
  }
  bool end_object() override {
    if (state_ == State::entry) end_entry();
    state_ = state_ == State::top ? State::done : State::top;
    return true;
  }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a number that is no 64-bit integer"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail(context_, "the header is not valid JSON in UTF-8, at its byte {}.", position);
  }

 private:
  enum class State : std::uint8_t {
    start,
    top,
    top_value,
    metadata,
    metadata_value,
    entry,
    dtype_value,
    shape_value,
    shape,
    offsets_value,
    offsets,
    done
  };

  [[noreturn]] void unexpected(std::string_view what) const {
    fail(context_, "the header has {} where the format wants none, near {}.", what, in_quotes(entry_.name));
  }
  void begin_entry(const std::string& name) {
    is_metadata_ = name == "__metadata__";
    if (!names_.insert(name).second) fail(context_, "the name {} is repeated.", in_quotes(name));
    entry_ = {.name = name, .encoding = Encoding::f32, .shape = {}, .begin = 0, .end = 0};
    num_offsets_ = 0;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    state_ = State::top_value;
  }
  void begin_field(const std::string& field) {
    const bool is_dtype = field == "dtype", is_shape = field == "shape", is_offsets = field == "data_offsets";
    if (!is_dtype && !is_shape && !is_offsets)
      fail(context_, "tensor {} has the unknown field {}.", in_quotes(entry_.name), in_quotes(field));
    bool& seen = is_dtype ? has_dtype_ : is_shape ? has_shape_ : has_offsets_;
    if (std::exchange(seen, true))
      fail(context_, "tensor {} has two fields {}.", in_quotes(entry_.name), in_quotes(field));
    state_ = is_dtype ? State::dtype_value : is_shape ? State::shape_value : State::offsets_value;
  }
  void end_entry() {
    if (!has_dtype_ || !has_shape_ || !has_offsets_) {
      fail(context_, "tensor {} lacks dtype, shape or data_offsets.", in_quotes(entry_.name));
    }
    const std::uint64_t wanted = stored_bytes_of(context_, entry_.shape, entry_.encoding);
    if (entry_.end < entry_.begin || entry_.end - entry_.begin != wanted) {
      fail(context_, "tensor {} of shape {} needs {} bytes, its data_offsets are [{}, {}].", in_quotes(entry_.name),
           entry_.shape, wanted, entry_.begin, entry_.end);
    }
    header_.entries.push_back(entry_);
  }

  const FileContext& context_;
  SafetensorsHeader& header_;
  State state_ = State::start;
  bool is_metadata_ = false;
  std::string key_;
  SafetensorsEntry entry_{.name = {}, .encoding = Encoding::f32, .shape = {}, .begin = 0, .end = 0};
  int num_offsets_ = 0;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::set<std::string> names_;  // a hash table could be filled with names that collide
};

void check_coverage(const FileContext& context, const std::vector<SafetensorsEntry>& entries,
                    std::uint64_t num_data_bytes) {
  std::vector<const SafetensorsEntry*> by_position;
  by_position.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) by_position.push_back(&entry);
  std::sort(by_position.begin(), by_position.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t covered = 0;
  for (const SafetensorsEntry* entry : by_position) {
    if (entry->begin != covered) {
      fail(context, "the data of tensor {} begins at byte {}, {} byte {}.", in_quotes(entry->name), entry->begin,
           entry->begin > covered ? "leaving a hole from" : "overlapping what reaches to", covered);
    }
    covered = entry->end;
  }
  if (covered != num_data_bytes)
    fail(context, "the header speaks of {} data bytes, the file has {}.", covered, num_data_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const FileContext& context, std::string_view text,
                                           std::uint64_t num_data_bytes) {
  if (!text.starts_with('{')) fail(context, "this is no safetensors file: its header does not begin with a brace.");
  // The JSON parser would take a zero byte for the end of the text.
  if (text.find('\0') != std::string_view::npos) fail(context, "the header contains a zero byte.");
  SafetensorsHeader header;
  HeaderParser parser(context, header);
  nlohmann::json::sax_parse(text.begin(), text.end(), &parser);
  check_coverage(context, header.entries, num_data_bytes);
  return header;
}

std::optional<std::string> json_string(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string_view safetensors_name_of(Encoding encoding) {
  return std::find_if(kNames.begin(), kNames.end(), [=](const auto& pair) { return pair.second == encoding; })->first;
}

}  // namespace dygrad::io
