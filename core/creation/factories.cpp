#include <dygrad/core/creation/factories.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <dygrad/core/base/detail/convert.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/detail/empty_for.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

NestedList::NestedList(std::initializer_list<NestedList> items)
    : is_list_(true), items_(detail::with_out_of_memory("tensor", [&] { return std::vector<NestedList>(items); })) {}

void detail::fail_large_integer(std::uint64_t value) {
  throw InvalidArgument(Message("tensor", "the number is too large.")
                            .expected("at most {}", INT64_MAX)
                            .got("{}", value)
                            .fix("give a floating number"));
}

namespace {

Shape shape_of(const NestedList& list) {
  Shape shape;
  for (const NestedList* at = &list; at->is_list(); at = &at->items().front()) {
    shape.push_back(static_cast<std::int64_t>(at->items().size()));
    if (at->items().empty()) break;
  }
  return shape;
}

/// Calls f(leaf) for every number in row-major order; checks that the list is a full grid of `extents`, the innermost
/// ones of `shape`.
template <class F>
void for_each_leaf(const NestedList& list, const Shape& shape, std::span<const std::int64_t> extents, F&& f) {
  const bool fits = extents.empty() ? !list.is_list() : list.is_list() && std::ssize(list.items()) == extents.front();
  if (!fits) {
    throw ShapeError(
        Message("tensor", "the nested list is ragged.")
            .expected("lists of equal length at each level, like shape {}", shape)
            .got("a different {} at depth {}", list.is_list() ? "list" : "number", shape.rank() - std::ssize(extents))
            .fix("fill the shorter lists up"));
  }
  if (!list.is_list()) return f(list);
  for (const NestedList& item : list.items()) for_each_leaf(item, shape, extents.subspan(1), f);
}

int width(DType dtype) { return dtype == DType::boolean ? 0 : dtype == DType::int64 ? 1 : 2; }

}  // namespace

Tensor tensor(const NestedList& values) {
  DType dtype = DType::boolean;
  bool any = false;
  const Shape shape = shape_of(values);
  for_each_leaf(values, shape, shape, [&](const NestedList& leaf) {
    any = true;
    if (width(leaf.dtype()) > width(dtype)) dtype = leaf.dtype();
  });
  return tensor(values, any ? dtype : DType::float32);
}

Tensor tensor(const NestedList& values, DType dtype) {
  Tensor result = detail::empty_for("tensor", shape_of(values), dtype);
  dispatch_all(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    for_each_leaf(values, result.shape(), result.shape(), [&](const NestedList& leaf) {
      *out++ = leaf.dtype() == DType::float32 ? kernel::convert<T>(leaf.number()) : kernel::convert<T>(leaf.integer());
    });
  });
  return result;
}

template <class T>
Tensor detail::from_values(std::string_view op, std::span<const T> values, const Shape& shape) {
  if (num_elements(shape, op) != static_cast<std::int64_t>(values.size())) {
    throw ShapeError(Message(op, "the number of values does not fit the shape.")
                         .expected("{} values for shape {}", num_elements(shape), shape)
                         .got("{}", values.size())
                         .fix("change the shape or the number of values"));
  }
  Tensor result = empty_for(op, shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), result.mutable_data<T>());
  return result;
}
template DYGRAD_API Tensor detail::from_values(std::string_view, std::span<const float>, const Shape&);
template DYGRAD_API Tensor detail::from_values(std::string_view, std::span<const double>, const Shape&);
template DYGRAD_API Tensor detail::from_values(std::string_view, std::span<const std::int64_t>, const Shape&);
template DYGRAD_API Tensor detail::from_values(std::string_view, std::span<const std::uint8_t>, const Shape&);
template DYGRAD_API Tensor detail::from_values(std::string_view, std::span<const bool>, const Shape&);

namespace {
std::size_t checked_bytes(const void* data, const Shape& shape, DType dtype) {
  const std::int64_t bytes = num_bytes(shape, size_of(dtype), "from_memory");
  if (!data && bytes > 0)
    throw InvalidArgument(Message("from_memory", "the pointer is null.")
                              .line("shape {}, {} bytes", shape, bytes)
                              .fix("pass memory of that many bytes, or a shape with an extent of 0"));
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(dtype) != 0) {
    throw InvalidArgument(Message("from_memory", "the pointer is not aligned for its element type.")
                              .expected("a multiple of {} bytes", size_of(dtype))
                              .got("{}", data)
                              .fix("copy the bytes into aligned memory first"));
  }
  if (dtype == DType::boolean) {
    const std::span bytes_of_bool(static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(bytes));
    const auto other = std::ranges::find_if(bytes_of_bool, [](std::uint8_t byte) { return byte > 1; });
    if (other != bytes_of_bool.end()) {
      throw InvalidArgument(Message("from_memory", "a byte is no bool.")
                                .expected("0 or 1")
                                .got("{} at position {}", +*other, other - bytes_of_bool.begin())
                                .fix("borrow the bytes as uint8, and compare: from_memory(...) != 0"));
    }
  }
  return static_cast<std::size_t>(bytes);
}
}  // namespace

Tensor from_memory(void* data, const Shape& shape, DType dtype, std::function<void(void*)> deleter) {
  return detail::with_out_of_memory("from_memory", [&] {
    std::size_t bytes = 0;
    try {
      bytes = checked_bytes(data, shape, dtype);
    } catch (...) {
      if (deleter) detail::call_user([&] { deleter(data); });
      throw;
    }
    Ref<Storage> storage = Storage::borrow(data, bytes, std::move(deleter));  // runs the deleter if anything fails
    return Tensor(make_ref<TensorImpl>(std::move(storage), shape, dense_strides(shape), 0, dtype));
  });
}

namespace {
Tensor filled(std::string_view op, const Shape& shape, double value, DType dtype) {
  Tensor result = detail::empty_for(op, shape, dtype);
  kernel::fill(result, value);
  return result;
}
}  // namespace

Tensor full(const Shape& shape, double value, DType dtype) { return filled("full", shape, value, dtype); }
Tensor zeros(const Shape& shape, DType dtype) { return filled("zeros", shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return filled("ones", shape, 1, dtype); }

Tensor full_like(const Tensor& x, double value) {
  Tensor result = kernel::empty_like(x, x.dtype());
  kernel::fill(result, value);
  return result;
}
Tensor zeros_like(const Tensor& x) { return full_like(x, 0); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1); }

namespace {

bool is_whole(double number) { return number == std::trunc(number); }

/// Of a difference of the two.
double rounding_of(double start, double stop) {
  return 2 * std::numeric_limits<double>::epsilon() * std::max(std::abs(start), std::abs(stop));
}

/// How many values start + i step lie before stop. The quotient is rounded, so the last value is looked at, too: nearer
/// to stop than the arguments' own rounding it counts as stop.
double count_before(double start, double stop, double step) {
  const double count = std::ceil((stop - start) / step);
  const double last = start + (count - 1) * step;
  const double tolerance = std::min(rounding_of(start, stop), std::abs(step) / 2);
  const bool is_stop = (step > 0 ? stop - last : last - stop) <= tolerance;
  return count > 0 && is_stop ? count - 1 : count;
}

/// Keeps a NaN, which bounds that are not finite lead to.
double at_least_none(double count) { return count < 0 && count > -0x1p62 ? 0 : count; }

__extension__ using Wide = __int128;

/// stop as the first whole number that is not before it, with the tolerance of count_before.
double whole_stop(double start, double stop, double step) {
  const double nearest = std::round(stop);
  if (std::abs(stop - nearest) <= std::min(rounding_of(start, stop), std::abs(step) / 2)) return nearest;
  return step > 0 ? std::ceil(stop) : std::floor(stop);
}

/// The same without rounding, for whole arguments below 2^63.
std::int64_t count_whole(Wide start, Wide stop, Wide step) {
  const Wide distance = step > 0 ? stop - start : start - stop, stride = step > 0 ? step : -step;
  return distance <= 0 ? 0 : static_cast<std::int64_t>((distance + stride - 1) / stride);
}

/// Values of an integer dtype, start + i step in 64-bit integers. Throws InvalidArgument unless the dtype holds them.
template <class T>
Tensor arange_of_integers(double start, double stop, double step, DType dtype) {
  const double end = whole_stop(start, stop, step);
  const bool is_int64 = std::max({std::abs(start), std::abs(step), std::abs(end)}) <= 0x1p63;
  const Wide first = is_int64 ? static_cast<Wide>(start) : 0, by = is_int64 ? static_cast<Wide>(step) : 1;
  const std::int64_t count = is_int64 ? count_whole(first, static_cast<Wide>(end), by) : 0;
  const Wide last = count > 0 ? first + (count - 1) * by : first;
  const auto holds = [](Wide value) {
    return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
  };
  if (!is_int64 || (count > 0 && !(holds(first) && holds(last)))) {
    throw InvalidArgument(Message("arange", "the dtype does not hold the values.")
                              .expected("values in [{}, {}], as {} holds", +std::numeric_limits<T>::min(),
                                        +std::numeric_limits<T>::max(), dtype)
                              .got("start {}, stop {}, step {}", start, stop, step)
                              .fix("use closer bounds, or a dtype that holds them"));
  }
  Tensor result = detail::empty_for("arange", Shape(count), dtype);
  T* out = result.mutable_data<T>();
  auto value = static_cast<std::uint64_t>(first);  // which wraps behind the last one
  for (std::int64_t i = 0; i < count; ++i, value += static_cast<std::uint64_t>(by)) out[i] = static_cast<T>(value);
  return result;
}

}  // namespace

Tensor arange(double start, double stop, double step, DType dtype) {
  const double count = at_least_none(count_before(start, stop, step));
  if (step == 0 || !(std::abs(count) < 0x1p62)) {
    const bool is_finite = std::isfinite(start) && std::isfinite(stop) && std::isfinite(step);
    const char* const remedy = !is_finite                     ? "give finite numbers"
                               : step == 0                    ? "give a step other than 0"
                               : !std::isfinite(stop - start) ? "give closer bounds: stop - start overflows"
                                                              : "give a larger step, or closer bounds";
    throw InvalidArgument(
        Message("arange", "needs bounds with a finite difference, a step other than 0, and fewer than 2^62 values.")
            .got("start {}, stop {}, step {}", start, stop, step)
            .fix("{}", remedy));
  }
  if ((step > 0 ? start - stop : stop - start) > rounding_of(start, stop)) {  // by less than a step, too
    throw InvalidArgument(Message("arange", "the step leads away from stop.")
                              .got("start {}, stop {}, step {}", start, stop, step)
                              .fix("change the sign of step"));
  }
  if (!is_floating(dtype) && !(is_whole(start) && is_whole(step))) {
    throw DtypeError(Message("arange", "the dtype would lose the fractions.")
                         .line("start {}, stop {}, step {}", start, stop, step)
                         .expected("float32 or float64")
                         .got("{}", dtype)
                         .fix("leave the dtype out, or pass float32"));
  }
  return dispatch_numeric(dtype, "arange", [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      return arange_of_integers<T>(start, stop, step, dtype);
    } else {
      Tensor result = detail::empty_for("arange", Shape(static_cast<std::int64_t>(count)), dtype);
      T* out = result.mutable_data<T>();
      for (std::int64_t i = 0; i < result.dim(0); ++i) out[i] = static_cast<T>(start + static_cast<double>(i) * step);
      return result;
    }
  });
}

Tensor arange(double start, double stop, double step) {
  return arange(start, stop, step, is_whole(start) && is_whole(step) ? DType::int64 : DType::float32);
}

Tensor linspace(double start, double stop, std::int64_t count, DType dtype) {
  if (count < 0)
    throw InvalidArgument(Message("linspace", "the number of values is negative.")
                              .expected("count >= 0")
                              .got("{}", count)
                              .fix("give a count of 0 or more"));
  Tensor result = detail::empty_for("linspace", Shape(count), dtype);
  dispatch_float(dtype, "linspace", [&]<class T>() {
    if (!std::isfinite(static_cast<T>(start)) || !std::isfinite(static_cast<T>(stop))) {
      throw InvalidArgument(Message("linspace", "an end is not finite.")
                                .expected("ends that are finite as {}", dtype)
                                .got("start {}, stop {}", start, stop)
                                .fix("give finite ends, or float64"));
    }
    T* out = result.mutable_data<T>();
    const double last = static_cast<double>(std::max<std::int64_t>(count - 1, 1));
    for (std::int64_t i = 0; i < count; ++i) {
      const double t = static_cast<double>(i) / last;
      out[i] = static_cast<T>(start * (1 - t) + stop * t);  // exact at both ends
    }
  });
  return result;
}

Tensor eye(std::int64_t rows, std::int64_t columns, DType dtype) {
  if (columns == -1) columns = rows;
  Tensor result = filled("eye", {rows, columns}, 0, dtype);
  dispatch_all(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    for (std::int64_t i = 0; i < std::min(rows, columns); ++i) out[i * columns + i] = T{1};
  });
  return result;
}

}  // namespace dygrad
