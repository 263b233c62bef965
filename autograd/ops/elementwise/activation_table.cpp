// The activations by name, for layers' `act` argument.
#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

struct Entry {
  std::string_view name;
  ActivationFunction function;
};

// Sorted by name.
constexpr auto kEntries = std::to_array<Entry>({
    {"abs", abs},
    {"acos", acos},
    {"asin", asin},
    {"atan", atan},
    {"brelu", [](const Tensor& x) { return brelu(x); }},
    {"ceil", ceil},
    {"cos", cos},
    {"cosh", cosh},
    {"elu", [](const Tensor& x) { return elu(x); }},
    {"exp", exp},
    {"floor", floor},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"hard_shrink", [](const Tensor& x) { return hard_shrink(x); }},
    {"hard_sigmoid", [](const Tensor& x) { return hard_sigmoid(x); }},
    {"hard_swish", [](const Tensor& x) { return hard_swish(x); }},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
    {"log", log},
    {"log_softmax", [](const Tensor& x) { return log_softmax(x); }},
    {"logsigmoid", logsigmoid},
    {"mish", mish},
    {"pow", [](const Tensor& x) { return pow(x, 1); }},
    {"reciprocal", reciprocal},
    {"relu", relu},
    {"relu6", [](const Tensor& x) { return relu6(x); }},
    {"round", round},
    {"rsqrt", rsqrt},
    {"selu", [](const Tensor& x) { return selu(x); }},
    {"sigmoid", sigmoid},
    {"silu", silu},
    {"sin", sin},
    {"sinh", sinh},
    {"soft_relu", [](const Tensor& x) { return soft_relu(x); }},
    {"softmax", [](const Tensor& x) { return softmax(x); }},
    {"softplus", softplus},
    {"softshrink", [](const Tensor& x) { return softshrink(x); }},
    {"softsign", softsign},
    {"sqrt", sqrt},
    {"square", square},
    {"stanh", [](const Tensor& x) { return stanh(x); }},
    {"swish", [](const Tensor& x) { return swish(x); }},
    {"tan", tan},
    {"tanh", tanh},
    {"tanh_shrink", tanh_shrink},
    {"thresholded_relu", [](const Tensor& x) { return thresholded_relu(x); }},
});
static_assert(std::ranges::is_sorted(kEntries, {}, &Entry::name));

constexpr auto kNames = [] {
  std::array<std::string_view, kEntries.size()> names;
  std::ranges::transform(kEntries, names.begin(), &Entry::name);
  return names;
}();

/// Levenshtein's distance: how many letters must be added, removed or replaced.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

[[noreturn]] void fail_unusable(std::string_view name, std::string_view why, std::string_view fix) {
  throw InvalidArgument(Message("activation", "\"{}\" cannot be used by name.", name).line("{}", why).fix("{}", fix));
}

/// In small letters, without '_': "LeakyReLU" and "leaky_relu" are one name.
std::string plain(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c != '_') letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return letters;
}

[[noreturn]] void fail_unknown(std::string_view name) {
  const std::string letters = plain(name);
  const auto distance = [&](std::string_view other) { return edit_distance(letters, plain(other)); };
  const std::string_view nearest = *std::ranges::min_element(kNames, {}, distance);
  std::string known;
  for (const std::string_view each : kNames) known += fmt::format("{}, ", each);
  Message message = Message("activation", "there is no activation \"{}\".", name)
                        .expected("one of {}or \"\" for none", known)
                        .got("\"{}\"", name);
  const bool is_close = distance(nearest) <= std::max<std::size_t>(name.size() / 3, 1);
  throw InvalidArgument(is_close ? std::move(message).fix("did you mean \"{}\"?", nearest)
                                 : std::move(message).fix("use one of these names"));
}

[[noreturn]] void fail_not_usable_by_name(std::string_view name) {
  if (plain(name) == "prelu") {
    fail_unusable(name, "it has a second input, the slopes, which a name does not bring along",
                  "use the layer PRelu, or leaky_relu, whose slope is a number");
  }
  if (name == "maxout") {
    fail_unusable(name, "its number of groups has no default, and it changes the number of channels",
                  "reshape [N, C, H, W] to [N, C / groups, groups, H, W] and take max over axis 2");
  }
  fail_unknown(name);
}

}  // namespace

ActivationFunction activation(std::string_view name) {
  if (name.empty() || name == "identity" || name == "linear" || name == "none") return nullptr;
  const auto entry = std::ranges::lower_bound(kEntries, name, {}, &Entry::name);
  if (entry != kEntries.end() && entry->name == name) return entry->function;
  return detail::with_out_of_memory("activation", [&]() -> ActivationFunction { fail_not_usable_by_name(name); });
}

std::span<const std::string_view> activation_names() { return kNames; }

}  // namespace dygrad
