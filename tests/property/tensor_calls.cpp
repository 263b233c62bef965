// Methods of Tensor that are no ops: values, extents, text, writing in place.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/format.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/property/call.h>

namespace dygrad::testing {

namespace {

Call start(Random& random) {
  Call call;
  call.dtype = random_dtype(random);
  call.inputs = {random_tensor(random, random.shape(), call.dtype)};
  return call;
}

Call dim_call(Random& random) {
  Call call = start(random);
  const Shape shape = call.inputs[0].shape();
  const int given = random.axis(shape.rank()), axis = plain_axis(given, shape.rank());
  call.dtype = int64;
  call.text = fmt::format("dim {}", given);
  call.run = [given](auto in) { return tensor(in[0].dim(given), int64); };
  if (axis >= 0) call.expected = Values{{}, {static_cast<Real>(shape[axis])}};
  return call;
}

Call at_call(Random& random) {
  Call call = start(random);
  const Shape shape = call.inputs[0].shape();
  Dims index;
  bool is_valid = true;
  for (const std::int64_t extent : shape) {
    index.push_back(random.wild(-extent, extent - 1));
    is_valid = is_valid && index.back() >= -extent && index.back() < extent;
  }
  if (random.one_in(20) && index.rank() > 0) index.erase(0), is_valid = false;
  call.text = fmt::format("at {}", index);
  call.dtype = float64;
  call.run = [index](auto in) { return full({}, in[0].at(index), float64); };
  if (!is_valid) return call;
  Dims normal = index;
  for (int i = 0; i < shape.rank(); ++i) normal[i] += normal[i] < 0 ? shape[i] : 0;
  call.expected = Values{{}, {read(call.inputs[0])(normal)}};
  return call;
}

Call item_call(Random& random) {
  Call call = start(random);
  if (random.one_in(2))
    call.inputs[0] = random_tensor(random, Shape::filled(static_cast<int>(random.below(4)), 1), call.dtype);
  call.text = "item";
  call.dtype = float64;
  call.run = [](auto in) { return full({}, in[0].item(), float64); };
  const Values x = read(call.inputs[0]);
  if (x.count() == 1) call.expected = Values{{}, {x.at.front()}};
  return call;
}

Call list_call(Random& random) {
  Call call = start(random);
  call.text = "to_vector, or read of a contiguous tensor";
  call.dtype = float64;
  call.run = [](auto in) {
    const std::vector<double> values = in[0].template to_vector<double>();
    if (in[0].dtype() == float64 && in[0].is_contiguous() && !std::ranges::equal(in[0].template read<double>(), values))
      throw std::logic_error("read and to_vector differ");
    return from_vector(values, in[0].shape());
  };
  call.expected = read(call.inputs[0]);
  return call;
}

Call text_call(Random& random) {
  Call call = start(random);
  PrintOptions options;
  options.precision = random.wild_int(0, 9);
  options.threshold = random.wild(0, 30);
  options.edge_items = random.wild(0, 4);
  options.line_width = static_cast<std::string::size_type>(random.wild(0, 90));
  call.text = fmt::format("to_string precision {} threshold {} edge {} width {}", options.precision, options.threshold,
                          options.edge_items, options.line_width);
  call.dtype = boolean;
  call.run = [options](auto in) {
    const std::string text = to_string(in[0], options);
    return full({}, text.starts_with("tensor(") && text.ends_with(")") && text.find("-nan") == std::string::npos,
                boolean);
  };
  call.expected = Values{{}, {1}};
  return call;
}

/// A destination and a source that may share memory in any way.
Call set_value_call(Random& random) {
  const std::int64_t side = random.one_in(6) ? 70 : random.between(1, 5);
  const DType dtype = random_dtype(random);
  const Tensor memory = random_tensor(random, Shape(side, side), dtype);
  const Tensor square = kernel::clone(memory, MemoryFormat::row_major);
  const auto view_of = [&](Random& r) {
    Tensor x = square;
    if (r.one_in(2)) x = view::transpose(x, 0, 1);
    for (int axis = 0; axis < 2; ++axis) {
      const std::int64_t shift = r.one_in(2) ? r.between(0, 1) : 0;
      x = view::slice(x, axis, shift, side - 1 + shift);
      if (r.one_in(4) && x.shape()[axis] > 0) {
        Strides strides = x.strides();
        strides[axis] = -strides[axis];
        x = view::strided(x, x.shape(), strides, x.impl()->offset + (x.shape()[axis] - 1) * x.strides()[axis]);
      }
    }
    return x;
  };
  const Tensor to = view_of(random);
  Tensor from = random.one_in(6) ? random_tensor(random, to.shape(), dtype) : view_of(random);
  if (random.one_in(8) && side > 1) from = view::expand(view::slice(from, 0, 0, 1), to.shape());
  if (random.one_in(30)) from = random_tensor(random, random.shape(), dtype);
  if (random.one_in(30)) from = random_tensor(random, to.shape(), random_dtype(random));
  const Values wanted = read(from);
  Call call{.text = fmt::format("set_value to {} from {}, offsets {} {}", describe(to), describe(from),
                                to.impl()->offset, from.impl()->offset),
            .inputs = {},
            .run = [=](auto) {
              Tensor(to).set_value(from);
              return to;
            }};
  call.dtype = dtype;
  if (from.shape() == to.shape() && from.dtype() == dtype) call.expected = wanted;
  return call;
}

/// Writing into any view: every element has its value afterwards, or it is refused.
Call write_call(Random& random) {
  Call call = start(random);
  const Tensor to = call.inputs[0];
  const Tensor from = random_tensor(random, to.shape(), to.dtype());
  const bool fills = random.one_in(3);
  call.inputs.clear();
  call.text = fmt::format("{} {}", fills ? "fill 1" : "set_value", describe(to));
  call.run = [=](auto) {
    if (fills) Tensor(to).fill(1);
    else Tensor(to).set_value(from);
    return to;
  };
  call.expected = fills ? make_values(to.shape(), [](const Dims&) { return 1; }) : read(from);
  call.may_refuse = !fills && kernel::has_shared_elements(to);
  return call;
}

}  // namespace

Call tensor_call(Random& random) {
  constexpr MakeCall kAll[] = {dim_call,  at_call,        item_call,      list_call,
                               text_call, set_value_call, set_value_call, write_call};
  return kAll[random.below(std::ssize(kAll))](random);
}

}  // namespace dygrad::testing
