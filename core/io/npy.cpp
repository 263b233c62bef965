#include <dygrad/core/io/npy.h>

#include <algorithm>
#include <array>
#include <set>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/io/detail/encoding.h>
#include <dygrad/core/io/detail/fail.h>
#include <dygrad/core/io/detail/npy_format.h>
#include <dygrad/core/io/detail/zip.h>

namespace dygrad {

namespace {
constexpr std::string_view kSuffix = ".npy";
constexpr const char* kRemedyNpy = "read a file that save_npy or numpy.save wrote, whole and unchanged";
constexpr const char* kRemedyNpz =
    "read a file that save_npz, numpy.savez or numpy.savez_compressed wrote, whole and unchanged";

void check_defined(const char* op, const Tensor& tensor, std::string_view name = {}) {
  if (!tensor.defined())
    throw InvalidArgument(Message(op, "a tensor is undefined.")
                              .line("name {}", io::in_quotes(name))
                              .fix("give it values, or leave it out"));
}

void check_names(const NamedTensors& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    check_defined("save_npz", tensor, name);
    if (!names.insert(name).second) {
      throw InvalidArgument(Message("save_npz", "two tensors have one name.")
                                .line("name {}", io::in_quotes(name))
                                .fix("give each its own"));
    }
    if (name.find('\0') != std::string::npos) {
      throw InvalidArgument(
          Message("save_npz", "a name contains a zero byte.").line("name {}", io::in_quotes(name)).fix("leave it out"));
    }
  }
}
}  // namespace

void save_npy(const std::string& path, const Tensor& tensor) {
  detail::with_out_of_memory("save_npy", [&] {
    check_defined("save_npy", tensor);
    const Tensor dense = io::dense_form(tensor);
    io::AtomicFileWriter file({"save_npy", path});
    file.write(io::make_npy_header(dense));
    file.write(io::bytes_of(dense));
    file.commit();
  });
}

Tensor load_npy(const std::string& path, const LoadOptions& options) {
  return detail::with_out_of_memory("load_npy", [&] {
    const io::InputFile file({.op = "load_npy", .path = path, .remedy = kRemedyNpy});
    io::LoadBudget budget(file.context(), options, file.num_bytes(), /*is_compressed=*/false);
    io::FileSource source(file);
    Tensor tensor = io::read_npy(source, budget);
    source.finish();
    return tensor;
  });
}

void save_npz(const std::string& path, const NamedTensors& tensors) {
  detail::with_out_of_memory("save_npz", [&] {
    check_names(tensors);
    io::AtomicFileWriter file({"save_npz", path});
    io::ZipWriter zip(file);
    for (const auto& [name, tensor] : tensors) {
      const Tensor dense = io::dense_form(tensor);
      const std::string header = io::make_npy_header(dense);
      const std::array pieces{std::as_bytes(std::span(header)), io::bytes_of(dense)};
      zip.add(name + std::string(kSuffix), pieces);
    }
    zip.finish();
    file.commit();
  });
}

NamedTensors load_npz(const std::string& path, const LoadOptions& options) {
  return detail::with_out_of_memory("load_npz", [&] {
    const io::InputFile file({.op = "load_npz", .path = path, .remedy = kRemedyNpz});
    const std::vector<io::ZipMember> members = io::read_zip_directory(file);
    const bool is_compressed = std::ranges::any_of(members, &io::ZipMember::is_deflated);
    io::LoadBudget budget(file.context(), options, file.num_bytes(), is_compressed);
    NamedTensors tensors;
    for (const io::ZipMember& member : members) {
      if (!member.name.ends_with(kSuffix)) {
        io::fail(file.context(), "member {} is no array: its name does not end in .npy.", io::in_quotes(member.name));
      }
      const std::unique_ptr<io::ByteSource> source = io::open_zip_member(file, member);
      Tensor tensor = io::read_npy(*source, budget);
      source->finish();
      tensors.emplace_back(member.name.substr(0, member.name.size() - kSuffix.size()), std::move(tensor));
    }
    return tensors;
  });
}

}  // namespace dygrad
