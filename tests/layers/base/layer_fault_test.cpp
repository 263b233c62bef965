// Calls that change layers, their random streams and what they are fed from, with each of their allocations failing.
#include <memory>
#include <stdexcept>
#include <tuple>
#include <type_traits>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/data/data_loader.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/layers/base/parameter_list.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/containers/layer_list.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/init/bilinear.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/reduce_lr_on_plateau.h>
#include <dygrad/layers/optim/schedules.h>
#include <dygrad/layers/optim/sgd.h>

#include <dygrad/tests/support/fault_sweep.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Generator::State random_state() { return default_generator().state(); }
}  // namespace

TEST_CASE("parts are added as a whole or not at all") {
  struct Net : Sequential {
    Parameter p = Parameter(ones({1}));
    Tensor b = ones({1});
    Linear fc{{.input_dim = 1, .output_dim = 1}};
    void member() { register_parameter("p", p); }
    void buffer() { register_buffer("b", b); }
    void layer() { register_layer("fc", fc); }
  };
  const auto make = [] {
    const UniqueNameGuard guard;
    manual_seed(3);
    auto net = std::make_unique<Net>();
    net->append(make_layer<Linear>({.input_dim = 1, .output_dim = 1}));
    return net;
  };
  const auto look = [](Net& net) {
    std::vector<std::string> names;
    for (const auto& [name, layer] : net.named_sublayers()) names.push_back(name);
    for (const auto& [name, tensor] : net.state_dict()) names.push_back(name);
    return names;
  };
  const LayerPtr shared = make_layer<Linear>({.input_dim = 1, .output_dim = 1});
  const LayerPtr other = std::make_shared<Sequential>(std::vector<LayerPtr>{shared});
  CHECK(sweep(
            make, [](Net& net) { net.member(); }, look) > 0);
  CHECK(sweep(
            make, [](Net& net) { net.buffer(); }, look) > 0);
  CHECK(sweep(
            make, [](Net& net) { net.layer(); }, look) > 0);
  CHECK(sweep(
            make, [&](Net& net) { net.append(shared); }, look) > 0);
  CHECK(sweep(
            make, [&](Net& net) { net.append("last", shared); }, look) > 0);
  CHECK(sweep(
            make, [&](Net& net) { net.insert(0, other); }, look) > 0);
  const std::vector<LayerPtr> several{shared, other, shared};
  CHECK(sweep(
            make, [&](Net& net) { net.extend(several); }, look) > 0);
  const std::string long_name = "a layer with a long name";
  CHECK(sweep(
            make, [&](Net& net) { net.add_sublayer(long_name, other); }, look) > 0);
  CHECK(sweep(
            make, [&](Net& net) { net.add_parameter("p", net.p); }, look) > 0);
  sweep(
      make, [&](Net& net) { net.set(0, other); }, look);
  sweep(
      make, [&](Net& net) { net.erase(0); }, look);
}

TEST_CASE("a list of parameters grows as a whole or not at all") {
  const auto make = [] {
    const UniqueNameGuard guard;
    return std::make_unique<ParameterList>(std::initializer_list<Parameter>{Parameter(ones({1}))});
  };
  const Parameter more(full({1}, 2));
  CHECK(sweep(
            make, [&](ParameterList& list) { list.append(more); },
            [](ParameterList& list) { return std::pair(list.size(), list.parameters().size()); }) > 0);
}

TEST_CASE("layers are made as a whole or not at all, and draw as if nothing had happened") {
  struct Made {
    std::vector<LayerPtr> layers;
    Layer factory{"factory"};
    std::vector<Parameter> parameters;
  };
  const auto make = [] {
    manual_seed(5);
    return std::make_unique<Made>();
  };
  const auto look = [](const Made& made) {
    std::vector<Bits> bits;
    for (const LayerPtr& layer : made.layers) bits.push_back(bits_of(layer->state_dict()));
    for (const Parameter& p : made.parameters) bits.push_back(bits_of({{{p.name(), p}}}));
    return std::tuple(bits, random_state().seed, random_state().position);
  };
  const auto keep = [](Made& made, LayerPtr layer) { made.layers.push_back(std::move(layer)); };
  const auto reserve = [](Made& made) { made.layers.reserve(1), made.parameters.reserve(1); };
  const auto ready = [&] {
    auto made = make();
    reserve(*made);
    return made;
  };
  const auto conv = [] { return make_layer<Conv2D>({.num_channels = 2, .num_filters = 3, .filter_size = 3}); };
  const auto linear = [] { return make_layer<Linear>({.input_dim = 3, .output_dim = 2, .bias_attr = Normal{}}); };
  const auto made_by = [&](const auto& make_one) {
    return [&](Made& made) { detail::with_out_of_memory("make_layer", [&] { keep(made, make_one()); }); };
  };
  CHECK(sweep(ready, made_by(conv), look) > 0);
  CHECK(sweep(ready, made_by(linear), look) > 0);
  const auto ready_in_scope = [&] {
    const UniqueNameGuard guard;
    auto made = ready();
    (void)made->factory.full_name();
    return made;
  };
  const ParameterSpec spec{.shape = {3}, .attr = Normal{}};
  const auto create = [&](Made& made) { made.parameters.push_back(made.factory.create_parameter(spec)); };
  CHECK(sweep(ready_in_scope, create, look) > 0);
}

TEST_CASE("a forward pass that fails leaves statistics and random streams") {
  const auto image = full({2, 3, 4, 4}, 0.5);
  const auto norm = [](DataFormat format, const char* act) {
    return [=] {
      return std::make_unique<BatchNorm>(BatchNorm::Options{.num_channels = 3, .act = act, .data_format = format});
    };
  };
  const auto run = [&](BatchNorm& layer) { (void)layer(image); };
  const auto run_last = [&](BatchNorm& layer) { (void)layer(kernel::clone(view::permute(image, {0, 2, 3, 1}))); };
  const auto look = [](const BatchNorm& layer) { return bits_of(layer.state_dict()); };
  CHECK(sweep(norm(DataFormat::NCHW, "tanh"), run, look) > 0);
  CHECK(sweep(norm(DataFormat::NHWC, "tanh"), run_last, look) > 0);
  for (std::uint64_t seed : {0, 9}) {
    const auto make = [=] {
      manual_seed(7);
      return std::make_unique<Dropout>(Dropout::Options{.seed = seed, .dropout_implementation = "upscale_in_train"});
    };
    // What the stream gives next, for the layer's own cannot be seen.
    const auto next = [](Dropout& layer) {
      (void)layer;
      return std::pair(random_state().seed, random_state().position);
    };
    CHECK(sweep(
              make, [&](Dropout& layer) { (void)layer(image); }, next) > 0);
  }
}

TEST_CASE("draws that fail leave their generator") {
  const auto make = [] { return std::make_unique<Generator>(3); };
  const auto look = [](const Generator& g) { return std::pair(g.state().seed, g.state().position); };
  CHECK(sweep(
            make, [](Generator& g) { (void)uniform({5}, 0, 1, {.generator = &g}); }, look) > 0);
  CHECK(sweep(
            make, [](Generator& g) { (void)normal({5}, 0, 1, {.generator = &g}); }, look) > 0);
  CHECK(sweep(
            make, [](Generator& g) { (void)truncated_normal({5}, 0, 1, {.generator = &g}); }, look) > 0);
  CHECK(sweep(
            make, [](Generator& g) { (void)randint({5}, 0, 9, &g); }, look) > 0);
  CHECK(sweep(
            make, [](Generator& g) { (void)permutation(5, &g); }, look) > 0);
  CHECK(sweep(
            make, [](Generator& g) { (void)bernoulli({5}, 0.5, {.generator = &g}); }, look) > 0);
}

TEST_CASE("a state dict grows as a whole or not at all") {
  const auto make = [] { return std::make_unique<StateDict>(StateDict({{"a", ones({1})}})); };
  const auto look = [](const StateDict& state) { return bits_of(state); };
  const StateDict more({{"b", ones({2})}, {"a longer name than fits into a string", ones({3})}});
  CHECK(sweep(
            make, [](StateDict& s) { s.insert("b", zeros({1})); }, look) > 0);
  CHECK(sweep(
            make, [](StateDict& s) { s.set("b", zeros({1})); }, look) > 0);
  CHECK(sweep(
            make, [&](StateDict& s) { s.insert_all("more.", more); }, look) > 0);
}

TEST_CASE("a pass over the data begins or leaves its loader alone", "[threads]") {
  const auto dataset = std::make_shared<TensorDataset>(std::vector<Tensor>{arange(7)});
  for (bool shuffle : {false, true}) {
    const auto make = [&] {
      auto loader =
          std::make_unique<DataLoader>(dataset, DataLoaderOptions{.batch_size = 2, .shuffle = shuffle, .prefetch = 0});
      loader->set_epoch(4, 1);
      return loader;
    };
    CHECK(sweep(
              make, [](DataLoader& loader) { (void)loader.begin(); },
              [](const DataLoader& loader) { return loader.epoch(); }) > 0);
  }
}

TEST_CASE("calls that make and describe things throw OutOfMemory only") {
  const auto ignore = [](std::int64_t, bool) {};
  const auto fails = [&](const auto& f) { CHECK(for_each_failing_allocation(f, ignore) > 0); };
  const LayerPtr shared = make_layer<Linear>({.input_dim = 1, .output_dim = 1});
  Sequential net{shared, shared, shared};
  const ParameterList list{Parameter(ones({1})), Parameter(ones({2}))};
  const Tensor value = ones({2});
  fails([&] { net.register_forward_pre_hook([&](Layer&, const Tensor& x) { return x; }).remove(); });
  fails([&] { net.register_forward_post_hook([&](Layer&, const Tensor&, const Tensor& y) { return y; }).remove(); });
  fails([&] { (void)Parameter(value); });
  fails([] { const UniqueNameGuard guard; });
  fails([&] { (void)net.slice(0, 2); });
  fails([&] { (void)list.items(); });
  fails([&] { LayerList{shared, shared}; });
  fails([] { (void)Layer("scope").full_name(); });
  const Sequential named{{"a part with a name that no string holds itself", shared}};
  fails([&] {
    try {
      (void)named["another part"];
    } catch (const InvalidArgument&) {
    }
  });
  fails([] { (void)make_layer<Linear>({.input_dim = 1, .output_dim = 1}); });
  fails([] { (void)make_layer<Sequential>(); });
  fails([] { Sequential().append<Linear>({.input_dim = 1, .output_dim = 1}); });
  fails([] { (void)Schedule(ExponentialDecay{.learning_rate = 1}); });
  fails([] { (void)LearningRate(ExponentialDecay{.learning_rate = 1}); });
  fails([] { (void)Initializer(Normal{}); });
  ReduceLROnPlateau::Options plateau{.learning_rate = 1};
  fails([&] { (void)ReduceLROnPlateau(plateau); });
  const Schedule schedule = ReduceLROnPlateau(plateau);
  const std::vector<double> bad{-1, 1, 1, 1, 1};
  fails([&] { (void)schedule.compare_state(bad); });
  const StateDict state({{"a name that is longer than what a string holds itself", ones({1})}});
  fails([&] {
    try {
      (void)state.at("b");
    } catch (const InvalidArgument&) {
    }
  });
  const LoadReport report{.missing = {"a name"}, .unexpected = {}, .mismatched = {}};
  fails([&] { (void)report.message("load", "net", "file"); });
  Tensor kernel = ones({1, 1, 3, 3});
  fails([&] { Bilinear{}(kernel); });
}

TEST_CASE("optimizers are made as a whole or throw OutOfMemory") {
  const auto ignore = [](std::int64_t, bool) {};
  const Parameter p(ones({1}));
  // The list is made outside, as a caller's.
  const auto fails = [&]<class O>(std::type_identity<O>) {
    std::vector<Parameter> parameters{p};
    std::vector<Parameter> given = parameters;
    CHECK(for_each_failing_allocation([&] { O(std::move(given)); },
                                      [&](std::int64_t n, bool threw) {
                                        ignore(n, threw);
                                        given = parameters;
                                      }) > 0);
  };
  fails(std::type_identity<SGD>{});
  fails(std::type_identity<Momentum>{});
  fails(std::type_identity<Adam>{});
  fails(std::type_identity<AdamW>{});
}

TEST_CASE("a pass with a background thread begins or throws OutOfMemory", "[threads]") {
  const auto dataset = std::make_shared<TensorDataset>(std::vector<Tensor>{arange(7)});
  DataLoader loader(dataset, {.batch_size = 2, .prefetch = 2});
  CHECK(for_each_failing_allocation([&] { (void)loader.begin(); }, [](std::int64_t, bool) {}) > 0);
}

TEST_CASE("exceptions of users' functions leave as they are", "[threads]") {
  struct Mine final : Dataset {
    std::int64_t size() const override { return 2; }
    Sample get(std::int64_t) const override { throw std::length_error("mine"); }
  };
  const auto says = [](const auto& f) {
    try {
      f();
    } catch (const std::length_error& error) {
      return std::string(error.what()) == "mine";
    }
    return false;
  };
  const auto bad = [](auto&&...) -> double { throw std::length_error("mine"); };
  for (int prefetch : {0, 1}) {
    CHECK(says([&] { (void)DataLoader(std::make_shared<Mine>(), {.prefetch = prefetch}).begin(); }));
    const auto data = std::make_shared<TensorDataset>(std::vector<Tensor>{arange(2)});
    const auto transform = [](Sample) -> Sample { throw std::length_error("mine"); };
    CHECK(says([&] { (void)DataLoader(data, {.prefetch = prefetch, .transform = transform}).begin(); }));
  }
  struct Bad : Layer {
    Bad() { throw std::length_error("mine"); }
  };
  CHECK(says([] { (void)make_layer<Bad>(); }));
  Layer layer;
  layer.register_forward_pre_hook([](Layer&, const Tensor&) -> Tensor { throw std::bad_alloc(); });
  CHECK_THROWS_AS(layer(ones({1})), std::bad_alloc);
  const auto init = [](Tensor&) { throw std::length_error("mine"); };
  CHECK(says([&] { Linear({.input_dim = 1, .output_dim = 1, .param_attr = Initializer(init)}); }));
  CHECK(says([&] { (void)make_layer<Linear>({.input_dim = 1, .output_dim = 1, .param_attr = Initializer(init)}); }));
  Parameter p(ones({1}));
  p.set_grad(ones({1}));
  SGD sgd({p}, {.learning_rate = [&](std::int64_t) { return bad(); }});
  CHECK(says([&] { sgd.step(); }));
  AdamW adam({p}, {.apply_decay_param_fun = [&](const std::string&) { return bad() > 0; }});
  CHECK(says([&] { adam.step(); }));
  CHECK(p.item() == 1);
}

TEST_CASE("a layer names its errors where there is memory for the name, and throws nothing but errors") {
  struct ALayerWithANameThatNoStringHoldsItself : Layer {
    Tensor forward(const Tensor& x) override { return x.reshape({5}); }
  };
  struct AnOuterLayerWithALongNameOfItsOwn : Layer {
    ALayerWithANameThatNoStringHoldsItself inner;
    AnOuterLayerWithALongNameOfItsOwn() { register_layer("inner", inner); }
    Tensor forward(const Tensor& x) override { return inner(x); }
  };
  const Tensor x = ones({2, 3});
  CHECK(for_each_failing_allocation(
            [&] {
              AnOuterLayerWithALongNameOfItsOwn layer;
              try {
                layer(x);
              } catch (const ShapeError&) {
              }
            },
            [](std::int64_t, bool) {}) > 0);
  CHECK_THROWS_MATCHES(AnOuterLayerWithALongNameOfItsOwn()(x), ShapeError,
                       MessageContains("in layer a_layer_with_a_name_that_no_string_holds_itself_",
                                       "in layer an_outer_layer_with_a_long_name_of_its_own_"));
}

TEST_CASE("an error of any type, a user's too, names the layer") {
  struct Mine : Error {
    using Error::Error;
  };
  struct Reader : Layer {
    Tensor forward(const Tensor& x) override {
      if (x.rank() == 0) throw Mine("read: no.");
      throw IoError("read: no.");
    }
  };
  Reader layer;
  CHECK_THROWS_MATCHES(layer(ones({})), Mine, MessageContains("read: no.", "in layer reader_"));
  CHECK_THROWS_MATCHES(layer(ones({1})), IoError, MessageContains("read: no.", "in layer reader_"));
}
