#include <dygrad/core/io/safetensors.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/io/detail/safetensors_header.h>

namespace dygrad {

namespace {

constexpr const char* kSave = "save_safetensors";
constexpr const char* kRemedy = "read a file that save_safetensors or Python's safetensors wrote, whole and unchanged";
constexpr std::size_t kLengthBytes = 8;  // of the number that a file begins with, little-endian

/// `text` as a JSON string; `role` says what it is.
std::string json_string(std::string_view role, const std::string& text) {
  std::optional<std::string> json = io::json_string(text);
  if (!json)
    throw InvalidArgument(Message(kSave, "{} is not UTF-8.", role)
                              .expected("UTF-8")
                              .got("{}", io::in_quotes(text))
                              .fix("convert it to UTF-8"));
  return *std::move(json);
}

void check_tensors(const NamedTensors& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined())
      throw InvalidArgument(Message(kSave, "a tensor is undefined.")
                                .line("name {}", io::in_quotes(name))
                                .fix("give it values, or leave it out"));
    if (name == "__metadata__")
      throw InvalidArgument(Message(kSave, "the name \"__metadata__\" belongs to the format.").fix("use another name"));
    if (!names.insert(name).second) {
      throw InvalidArgument(
          Message(kSave, "two tensors have one name.").line("name {}", io::in_quotes(name)).fix("give each its own"));
    }
  }
}

/// The order in which data is written: larger elements first, so that every tensor is aligned for readers that map
/// files.
std::vector<std::size_t> data_order(const NamedTensors& tensors) {
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(tensors[a].second.dtype()) > size_of(tensors[b].second.dtype());
  });
  return order;
}

std::string make_header(const NamedTensors& tensors, const std::vector<std::size_t>& order, const Metadata& metadata) {
  std::vector<std::int64_t> begin(tensors.size());
  std::int64_t position = 0;
  for (std::size_t i : order) {
    begin[i] = position;
    position += tensors[i].second.num_bytes();
  }
  std::string text = "{";
  const auto separate = [&text] {
    if (text.size() > 1) text += ',';
  };
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (text.back() != '{') text += ',';
      text += json_string("a key of the metadata", key) + ':';
      text += json_string(fmt::format("the metadata of key {}", io::in_quotes(key)), value);
    }
    text += '}';
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    separate();
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        json_string(fmt::format("the name of tensor {}", i), name),
                        io::safetensors_name_of(io::encoding_of(tensor.dtype())), fmt::join(tensor.shape(), ","),
                        begin[i], begin[i] + tensor.num_bytes());
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > io::kLargestHeader) {
    throw InvalidArgument(Message(kSave, "names and metadata are too long.")
                              .expected("at most {} bytes in all", io::kLargestHeader)
                              .got("{}", text.size())
                              .fix("store large texts elsewhere"));
  }
  return text;
}

/// A sparse or foreign file is refused before memory is taken for its header.
void check_begins_with_brace(const io::InputFile& file, std::uint64_t header_bytes) {
  char first = '\0';
  if (header_bytes > 0) file.read_at(kLengthBytes, std::as_writable_bytes(std::span(&first, 1)));
  if (first != '{') io::fail(file.context(), "this is no safetensors file: its header does not begin with a brace.");
}

}  // namespace

void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  detail::with_out_of_memory("save_safetensors", [&] {
    check_tensors(tensors);
    const std::vector<std::size_t> order = data_order(tensors);
    const std::string header = make_header(tensors, order, metadata);
    const std::uint64_t length = header.size();
    io::AtomicFileWriter file({kSave, path});
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (std::size_t i : order) {
      const Tensor dense = io::dense_form(tensors[i].second);
      file.write(io::bytes_of(dense));
    }
    file.commit();
  });
}

SafetensorsFile load_safetensors(const std::string& path, const LoadOptions& options) {
  return detail::with_out_of_memory("load_safetensors", [&] {
    const io::InputFile file({.op = "load_safetensors", .path = path, .remedy = kRemedy});
    const io::FileContext& context = file.context();
    if (file.num_bytes() < kLengthBytes) io::fail(context, "the file is too short: {} bytes.", file.num_bytes());
    std::uint64_t length = 0;
    file.read_at(0, std::as_writable_bytes(std::span(&length, 1)));
    const std::uint64_t rest = file.num_bytes() - kLengthBytes;
    // Other kinds of file begin with bytes that make a huge number.
    if (length > io::kLargestHeader)
      io::fail(context, "this is no safetensors file: its header would have {} bytes, at most {} are allowed.", length,
               io::kLargestHeader);
    if (length > rest)
      io::fail(context, "this is no safetensors file, or a part of one: its header has {} bytes, {} are there.", length,
               rest);
    check_begins_with_brace(file, length);
    std::string text(static_cast<std::size_t>(length), '\0');
    file.read_at(kLengthBytes, std::as_writable_bytes(std::span(text)));
    io::SafetensorsHeader header = io::parse_safetensors_header(context, text, rest - length);

    io::LoadBudget budget(context, options, file.num_bytes(), /*is_compressed=*/false);
    SafetensorsFile result{.tensors = {}, .metadata = std::move(header.metadata)};
    for (const io::SafetensorsEntry& entry : header.entries) {
      io::FileSource data(file, kLengthBytes + length + entry.begin, entry.end - entry.begin);
      result.tensors.emplace_back(entry.name, io::read_tensor(data, budget, entry.shape, entry.encoding));
    }
    return result;
  });
}

}  // namespace dygrad
