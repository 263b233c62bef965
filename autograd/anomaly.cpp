#include <dygrad/autograd/anomaly.h>

#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/live_graphs.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/demangle.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

std::vector<std::string>& scopes() {
  return detail::per_thread([] { return std::vector<std::string>(); });
}

/// Function name if the program exports it, else binary and offset, which addr2line understands.
std::string describe_frame(void* address) {
  Dl_info info{};
  if (!dladdr(address, &info) || !info.dli_fname) return fmt::format("{}", address);
  if (info.dli_sname) return detail::demangled(info.dli_sname);
  const auto offset = static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase);
  return fmt::format("{}(+{:#x})", info.dli_fname, offset);
}

}  // namespace

AnomalyMode::AnomalyMode(bool enabled) : previous_(detail::record_state().anomaly) {
  detail::record_state().anomaly = enabled;
}
AnomalyMode::~AnomalyMode() { detail::record_state().anomaly = previous_; }
bool AnomalyMode::is_enabled() { return detail::record_state().anomaly; }

RecordScope::RecordScope(const std::string& label) : pushed_(detail::record_state().notes_origin()) {
  if (pushed_) detail::with_out_of_memory("record_scope", [&] { scopes().push_back(label); });
}
RecordScope::~RecordScope() {
  if (pushed_) scopes().pop_back();
}

TrackGraphs::TrackGraphs(bool enabled) : previous_(detail::record_state().tracking) {
  detail::record_state().tracking = enabled;
}
TrackGraphs::~TrackGraphs() { detail::record_state().tracking = previous_; }

[[gnu::noinline]] static void note_origin_here(Node& node) {
  constexpr int kOwnFrames = 4;  // this function, its two callers and the recording
  constexpr int kMaxFrames = 24;
  std::string origin;
  for (const std::string& label : scopes()) origin += (origin.empty() ? "in " : " > ") + detail::printable(label);
  void* frames[kMaxFrames];
  const int count = backtrace(frames, kMaxFrames);
  for (int i = kOwnFrames; i < count; ++i) origin += "\n    " + describe_frame(frames[i]);
  node.make_extras().origin = std::move(origin);
  detail::track_node(node);
}

void detail::note_origin(Node& node) {
  with_out_of_memory(node.name(), [&] { note_origin_here(node); });
}

bool detail::has_nan(const Tensor& x) {
  if (!x.defined() || !is_floating(x.dtype())) return false;
  return dispatch_float(x.dtype(), "anomaly_mode", [&]<class T>() {
    const Tensor dense = kernel::contiguous(x);
    return std::ranges::any_of(dense.read<T>(), [](T v) { return std::isnan(v); });
  });
}

void detail::fail_nan(const Node& node, std::size_t input, std::size_t num_inputs) {
  const auto message = [&] {
    return Message(node.name(), "the output has a NaN.").lines("first in {}", node.describe());
  };
  if (input == num_inputs) throw GraphError(message().fix("look at the values that reach this op at the place above"));
  throw GraphError(message()
                       .line("inputs[{}] has one already", input)
                       .fix("look at where this input comes from: no op recorded in anomaly mode made its NaN"));
}

}  // namespace dygrad
