// Names of users' own classes: none of the library's private ones hides them.
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {
struct Part : Layer {
  Parameter weight = create_parameter({.shape = {1}});
  Part() { register_parameter("weight", weight); }
};
}  // namespace

// At namespace scope, where names of Layer's own parts would be found first in the layers that use these.
namespace {
struct Child : Part {};
struct NamedSublayer : Part {};
struct ParameterEntry : Part {};
struct BufferEntry : Part {};
struct StateTarget : Part {};
struct Entry : Part {};
struct Slot : Part {};
struct Ready : Part {};
struct UsesThem : Layer {
  Child child;
  NamedSublayer sublayer;
  ParameterEntry parameter;
  BufferEntry buffer;
  StateTarget target;
  Entry entry;
  struct Child2 : Layer {
    Child below;
    Child2() { register_layer("below", below); }
  } nested;
  UsesThem() {
    for (auto [name, layer] : std::initializer_list<std::pair<const char*, Layer*>>{
             {"child", &child}, {"sublayer", &sublayer}, {"parameter", &parameter}, {"nested", &nested}}) {
      register_layer(name, *layer);
    }
  }
};
struct Rule : SGD {
  using SGD::SGD;
  Slot slot;
  Ready ready;
};
}  // namespace

TEST_CASE("layers of users may have any name, inside of other layers too") {
  struct Outer : Layer {
    struct Child : Layer {
      Parameter weight = create_parameter({.shape = {1}});
      Child() { register_parameter("weight", weight); }
    };
    Child child;
    std::shared_ptr<Child> shared = std::make_shared<Child>();
    Outer() {
      register_layer("child", child);
      add_sublayer("shared", shared);
    }
  };
  Outer outer;
  UsesThem net;
  CHECK(outer.parameters().size() == 2);
  CHECK(net.state_dict().contains("nested.below.weight"));
  CHECK(net.parameters().size() == 4);
}
