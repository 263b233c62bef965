// What a file may make a load function take.
#pragma once

#include <cstdint>

namespace dygrad {

struct LoadOptions {
  /// Most bytes of memory that all tensors of the file may take together, before and beside any copy; more is an
  /// IoError that states this number. 0 stands for the default: the memory of this machine; for compressed data (npz,
  /// gzip), which a small file can make any amount of, besides at most 256 MiB or 64 times the size of the file,
  /// whichever is more.
  std::int64_t max_bytes = 0;
};

}  // namespace dygrad
