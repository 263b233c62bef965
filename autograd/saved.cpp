#include <dygrad/autograd/saved.h>

#include <thread>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/core/view.h>

namespace dygrad {

// Who is busy moves a few handles: sooner done than this thread could sleep.
std::uint8_t SavedState::wait() noexcept {
  std::uint8_t state = kBusy;
  while (state == kBusy) {
    std::this_thread::yield();
    state = state_.exchange(kBusy, std::memory_order_acquire);
  }
  return state;
}

void SavedTensor::fail_changed(std::string_view op, std::string_view role) const {
  throw GraphError(Message("backward", "a value that the gradient needs was changed in place after it was used.")
                       .line("op {}, its {} {}", op, role, tensor_.shape())
                       .expected("version {}", version_)
                       .got("version {}", tensor_.version())
                       .fix("change a clone() instead, or run backward before changing it"));
}

// Note [Saved outputs and cycles]
// exp, tanh and others differentiate through their own output. Were the output kept as it is, node -> output -> node
// would be a cycle that no reference count frees. So a node keeps a plain alias, and hands it out with itself attached
// only while a vjp runs that is being recorded; there the attachment is what makes second derivatives flow through the
// output.
Tensor detail::attach_output(const Tensor& kept, Node& producer) {
  Tensor output = view::alias(kept);
  output.impl()->autograd = Ref<AutogradSlot>(&producer);
  return output;
}

void detail::fail_released(const Node& node) {
  throw GraphError(Message("backward", "the graph was already freed by an earlier backward().")
                       .line("at node {}", node.describe())
                       .fix("pass retain_graph = true to the first call"));
}

}  // namespace dygrad
