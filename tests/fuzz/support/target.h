// What the fuzz targets share. A target is a function of bytes: libFuzzer calls it with what it invents (make fuzz),
// and every build calls it with the files of tests/fuzz/corpus (replay.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/allocator.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t num_bytes);

namespace dygrad::fuzz {

/// Ends the program with this reason, as libFuzzer expects of a fault.
[[noreturn]] inline void fault(std::string_view what) {
  std::cerr << "fault: " << what << std::endl;
  std::abort();
}
inline void require(bool holds, std::string_view what) {
  if (!holds) fault(what);
}

/// Runs f, which may throw dygrad::Error and nothing else. Returns whether it threw.
template <class F>
bool throws_error(F&& f) {
  try {
    f();
    return false;
  } catch (const Error& error) {
    require(std::string_view(error.what()).find(": ") != std::string_view::npos, "an error does not say who throws it");
    return true;
  } catch (const std::exception& error) {
    fault(std::string("something else than dygrad::Error was thrown: ") + error.what());
  }
}

/// Watches the tensors' memory: at most `num_bytes` at a time, and none left at the end.
class MemoryCheck {
 public:
  explicit MemoryCheck(std::int64_t num_bytes) : live_(allocator_statistics().live_bytes), most_(num_bytes) {
    reset_peak_bytes();
  }
  ~MemoryCheck() {
    const AllocatorStatistics now = allocator_statistics();
    constexpr std::int64_t kPeakStep = 65536;     // the peak is kept in such steps,
    const std::int64_t size_classes = most_ / 4;  // and blocks are rounded up
    require(now.live_bytes == live_, "memory is kept");
    require(now.peak_bytes - live_ <= most_ + size_classes + kPeakStep, "more memory was taken than is allowed");
  }
  MemoryCheck(const MemoryCheck&) = delete;
  MemoryCheck& operator=(const MemoryCheck&) = delete;

 private:
  std::int64_t live_, most_;
};

/// A file without a name that holds these bytes, under a path that may be opened.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t num_bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int number_;
  std::string path_;
};

/// A path in a folder in memory, gone at the end, for files that targets save.
std::string scratch_file(const std::string& name);

}  // namespace dygrad::fuzz
