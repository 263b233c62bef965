#include <dygrad/core/data/idx.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/io/detail/byte_source.h>
#include <dygrad/core/io/detail/encoding.h>
#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

constexpr const char* kRemedy = "read an IDX file, plain or gzipped, whole and unchanged";

bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

io::Encoding encoding_of_code(const io::FileContext& context, unsigned code) {
  switch (code) {
    case 0x08: return io::Encoding::u8;
    case 0x09: return io::Encoding::i8;
    case 0x0B: return io::Encoding::i16;
    case 0x0C: return io::Encoding::i32;
    case 0x0D: return io::Encoding::f32;
    case 0x0E: return io::Encoding::f64;
    default: io::fail(context, "the file has the unknown element type {:#04x}.", code);
  }
}

/// Two zero bytes, the type, the rank; then each extent in four bytes, the most significant first; then the elements.
Tensor read_idx(io::ByteSource& source, io::LoadBudget& budget) {
  std::array<unsigned char, 4> start;
  source.read(std::as_writable_bytes(std::span(start)));
  if (start[0] != 0 || start[1] != 0)
    io::fail(source.context(), "this is no IDX file: it does not begin with two zero bytes.");
  const io::Encoding encoding = encoding_of_code(source.context(), start[2]);
  if (start[3] > kMaxRank)
    io::fail(source.context(), "the array has {} dimensions, at most {} are supported.", start[3], kMaxRank);
  Shape shape;
  for (int i = 0; i < start[3]; ++i) {
    std::array<unsigned char, 4> extent;
    source.read(std::as_writable_bytes(std::span(extent)));
    shape.push_back(std::int64_t{extent[0]} << 24 | extent[1] << 16 | extent[2] << 8 | extent[3]);
  }
  Tensor result = io::read_tensor(source, budget, shape, encoding, std::endian::big);
  source.finish();
  return result;
}

bool is_gzip(const io::InputFile& file) {
  std::array<unsigned char, 2> start{};
  if (file.num_bytes() >= start.size()) file.read_at(0, std::as_writable_bytes(std::span(start)));
  return start[0] == 0x1F && start[1] == 0x8B;
}

}  // namespace

Tensor load_idx(const std::string& path, const LoadOptions& options) {
  return detail::with_out_of_memory("load_idx", [&] {
    const io::InputFile file({.op = "load_idx", .path = path, .remedy = kRemedy});
    const bool is_compressed = is_gzip(file);
    io::LoadBudget budget(file.context(), options, file.num_bytes(), is_compressed);
    std::unique_ptr<io::ByteSource> source = std::make_unique<io::FileSource>(file);
    if (is_compressed) source = io::inflate(std::move(source), io::Compression::gzip);
    return read_idx(*source, budget);
  });
}

ImageSet load_mnist(const std::string& folder, Split split, const LoadOptions& options) {
  return detail::with_out_of_memory("load_mnist", [&] {
    const std::string stem = folder + (split == Split::train ? "/train-" : "/t10k-");
    const auto load = [&](const char* rest) {
      return load_idx(is_file(stem + rest) ? stem + rest : stem + rest + ".gz", options);
    };
    ImageSet set{.images = load("images-idx3-ubyte"), .labels = load("labels-idx1-ubyte")};
    const bool fits = set.images.rank() == 3 && set.labels.rank() == 1 && set.images.dim(0) == set.labels.dim(0);
    if (!fits || set.images.dtype() != DType::uint8 || set.labels.dtype() != DType::uint8) {
      throw IoError(
          Message("load_mnist", "images and labels do not fit each other.")
              .line("files {}*", stem)
              .expected("uint8 images [N, H, W] and uint8 labels [N]")
              .got("{} {} and {} {}", set.images.dtype(), set.images.shape(), set.labels.dtype(), set.labels.shape())
              .fix("take both files from one set"));
    }
    set.labels = kernel::cast(set.labels, DType::int64);
    return set;
  });
}

namespace {
std::optional<std::string> first_with_training_images() {
  const char* chosen = std::getenv("DYGRAD_DATA");
  for (const char* folder :
       {chosen, "/usr/share/datasets/fashion-mnist", "/usr/local/share/datasets/fashion-mnist", "data/fashion-mnist"}) {
    if (!folder || (chosen && folder != chosen)) continue;
    const std::string images = std::string(folder) + "/train-images-idx3-ubyte";
    if (is_file(images) || is_file(images + ".gz")) return folder;
  }
  return std::nullopt;
}
}  // namespace

std::optional<std::string> find_fashion_mnist() {
  return detail::with_out_of_memory("find_fashion_mnist", first_with_training_images);
}

}  // namespace dygrad
