#include <dygrad/autograd/anomaly.h>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {

std::vector<std::string>& scopes() {
  thread_local std::vector<std::string> labels;
  return labels;
}

/// Function name if the program exports it, else binary and offset, which addr2line understands.
std::string describe_frame(void* address) {
  Dl_info info{};
  if (!dladdr(address, &info) || !info.dli_fname) return fmt::format("{}", address);
  if (info.dli_sname) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> readable(
        abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), std::free);
    return status == 0 ? readable.get() : info.dli_sname;
  }
  const auto offset = static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase);
  return fmt::format("{}(+{:#x})", info.dli_fname, offset);
}

}  // namespace

AnomalyMode::AnomalyMode(bool enabled) : previous_(detail::record_state().anomaly) {
  detail::record_state().anomaly = enabled;
}
AnomalyMode::~AnomalyMode() { detail::record_state().anomaly = previous_; }
bool AnomalyMode::is_enabled() { return detail::record_state().anomaly; }

RecordScope::RecordScope(const std::string& label) : pushed_(AnomalyMode::is_enabled()) {
  if (pushed_) scopes().push_back(label);
}
RecordScope::~RecordScope() {
  if (pushed_) scopes().pop_back();
}

void detail::note_origin(Node& node) {
  constexpr int kOwnFrames = 2;  // this function and the recording
  constexpr int kMostFrames = 24;
  std::string origin;
  for (const std::string& label : scopes()) origin += (origin.empty() ? "in " : " > ") + label;
  void* frames[kMostFrames];
  const int count = backtrace(frames, kMostFrames);
  for (int i = kOwnFrames; i < count; ++i) origin += "\n    " + describe_frame(frames[i]);
  node.make_extras().origin = std::move(origin);
}

}  // namespace dygrad
