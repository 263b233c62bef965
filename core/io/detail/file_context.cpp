#include <dygrad/core/io/detail/file_context.h>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

void check_path(const FileContext& place) {
  if (place.path.empty()) throw IoError(Message(place.op, "the path is empty.").fix("name a file"));
  if (const std::size_t at = place.path.find('\0'); at != std::string::npos) {
    throw IoError(Message(place.op, "the path contains a zero byte.")
                      .line("file {}", printable(place.path))
                      .expected("no zero byte")
                      .got("one at position {} of {}", at, place.path.size())
                      .fix("name the file without it"));
  }
}

}  // namespace dygrad::io
