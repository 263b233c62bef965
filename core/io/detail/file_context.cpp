#include <dygrad/core/io/detail/file_context.h>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

void check_path(const FileContext& context) {
  if (context.path.empty()) throw IoError(Message(context.op, "the path is empty.").fix("name a file"));
  if (const std::size_t at = context.path.find('\0'); at != std::string::npos) {
    throw IoError(Message(context.op, "the path contains a zero byte.")
                      .line("file {}", context.path)
                      .expected("no zero byte")
                      .got("one at position {} of {}", at, context.path.size())
                      .fix("name the file without it"));
  }
}

}  // namespace dygrad::io
