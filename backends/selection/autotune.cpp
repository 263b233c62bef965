#include <dygrad/backends/selection/autotune.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <string>

#include <dygrad/backends/common/problem_text.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/base/verbose.h>
#include <dygrad/core/io/detail/file.h>

namespace dygrad {

namespace {

constexpr std::string_view kHeader = "dygrad autotune 1";

/// By name: algorithms of one name may differ by the kinds of problems that they support.
struct NamedChoice {
  const Backend* backend;
  std::string algorithm;
};
using Choices = std::map<std::string, NamedChoice, std::less<>>;

struct Table {
  std::mutex mutex;
  Choices choices;
  std::atomic<std::uint64_t> generation{0};
};
// Never destroyed: kernels may run from other static objects' destructors.
Table& table() {
  static Table& instance = *detail::with_out_of_memory("autotune", [] { return new Table; });
  return instance;
}

/// "conv2d_transpose float32:mb1_... 2": one line's problem, without spaces inside its parts.
std::string key_of(const Problem& problem) {
  return fmt::format("{} {}{} {}", name_of(problem.kind), problem_text(problem),
                     problem.math_mode == MathMode::bfloat16 ? "_bf16"
                     : problem.math_mode == MathMode::strict ? "_strict"
                                                             : "",
                     num_threads());
}

double time_once(const Algorithm& algorithm, const Problem& problem, const Tensor& a, const Tensor& b,
                 const Epilogue& epilogue) {
  const auto start = std::chrono::steady_clock::now();
  algorithm.run(problem, a, b, epilogue);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The first algorithm of that name for which holds(algorithm), or null.
template <class Condition>
const Algorithm* find_algorithm(const Backend& backend, std::string_view name, const Condition& holds) {
  for (const Algorithm* algorithm : backend.algorithms()) {
    if (algorithm->name() == name && holds(*algorithm)) return algorithm;
  }
  return nullptr;
}

std::optional<NamedChoice> find_choice(std::string_view backend_name, std::string_view algorithm_name) {
  for (const auto& backend : all_backends()) {
    if (backend->name() != backend_name) continue;
    if (find_algorithm(*backend, algorithm_name, [](const Algorithm&) { return true; }))
      return NamedChoice{backend.get(), std::string(algorithm_name)};
  }
  return std::nullopt;
}

std::string_view next_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

/// The text of the file, whose size is judged before memory is taken for it.
std::string read_table(const std::string& path) {
  const io::InputFile file({"load_autotune", path});
  constexpr std::uint64_t kLargest = std::uint64_t{64} << 20;  // bytes; a line takes about a hundred
  if (file.num_bytes() > kLargest) {
    throw IoError(Message("load_autotune", "not a table of choices: the file is too large.")
                      .line("file {}", path)
                      .expected("at most {} bytes", kLargest)
                      .got("{}", file.num_bytes())
                      .fix("write the file with save_autotune"));
  }
  std::string text(static_cast<std::size_t>(file.num_bytes()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

/// The choices among algorithms that this build has.
Choices parse_table(const std::string& path, std::string_view text) {
  Choices choices;
  std::string_view rest = text;
  for (std::size_t number = 1; number == 1 || !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (number == 1 ? line != kHeader : std::count(line.begin(), line.end(), ' ') != 4) {
      throw IoError(Message("load_autotune", "not a table of choices.")
                        .line("path {}, line {}", path, number)
                        .expected("{}", number == 1 ? kHeader : "op problem threads backend algorithm")
                        .got("\"{}\"", line.substr(0, 80))
                        .fix("write the file with save_autotune"));
    }
    if (number == 1) continue;
    const std::string_view whole = line;
    for (int word = 0; word < 3; ++word) next_word(line);
    const std::string_view problem = whole.substr(0, whole.size() - line.size() - 1);
    const std::string_view backend_name = next_word(line);
    if (auto choice = find_choice(backend_name, line))
      choices.insert_or_assign(std::string(problem), *std::move(choice));
  }
  return choices;
}

}  // namespace

std::uint64_t autotune::generation() { return table().generation.load(std::memory_order_acquire); }

std::optional<Choice> autotune::find(const Problem& problem) {
  if (generation() == 0) return std::nullopt;
  const std::string key = key_of(problem);
  const std::scoped_lock lock(table().mutex);
  const auto at = table().choices.find(key);
  if (at == table().choices.end()) return std::nullopt;
  const auto& [backend, name] = at->second;
  const Algorithm* algorithm =
      find_algorithm(*backend, name, [&](const Algorithm& candidate) { return candidate.supports(problem); });
  if (!algorithm) return std::nullopt;
  return Choice{backend, algorithm};
}

void autotune::tune(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) {
  constexpr int kTries = 3;         // the first one compiles and converts
  constexpr double kHopeless = 20;  // times the best estimate: not even tried
  double best_estimate = 0;
  for (const bool counting : {true, false}) {
    std::optional<Choice> best;
    double best_seconds = 0;
    for (const auto& backend : all_backends()) {
      if (forced_backend() && backend.get() != forced_backend()) continue;
      for (const Algorithm* algorithm : backend->algorithms()) {
        if (!algorithm->supports(problem)) continue;
        const double estimate = algorithm->estimate(problem);
        if (counting) {
          best_estimate = best_estimate == 0 ? estimate : std::min(best_estimate, estimate);
          continue;
        }
        if (estimate > kHopeless * best_estimate) continue;
        double seconds = std::numeric_limits<double>::infinity();
        try {
          for (int attempt = 0; attempt < kTries; ++attempt)
            seconds = std::min(seconds, time_once(*algorithm, problem, a, b, epilogue));
        } catch (const Error&) {  // out of memory, or a library's own: another algorithm may do
          continue;
        }
        if (!best || seconds < best_seconds) best = Choice{backend.get(), algorithm}, best_seconds = seconds;
      }
    }
    if (!best) continue;
    const std::scoped_lock lock(table().mutex);
    table().choices.insert_or_assign(key_of(problem), NamedChoice{best->backend, std::string(best->algorithm->name())});
    table().generation.fetch_add(1, std::memory_order_acq_rel);
  }
}

void clear_autotune() {
  const std::scoped_lock lock(table().mutex);
  table().choices.clear();
  table().generation.fetch_add(1, std::memory_order_acq_rel);
}

void save_autotune(const std::string& path) {
  detail::with_out_of_memory("save_autotune", [&] {
    std::string text = std::string(kHeader) + "\n";
    {
      const std::scoped_lock lock(table().mutex);
      for (const auto& [problem, choice] : table().choices) {
        text += fmt::format("{} {} {}\n", problem, choice.backend->name(), choice.algorithm);
      }
    }
    io::AtomicFileWriter file({"save_autotune", path});
    file.write(text);
    file.commit();
  });
}

std::size_t load_autotune(const std::string& path) {
  return detail::with_out_of_memory("load_autotune", [&] {
    Choices loaded = parse_table(path, read_table(path));
    const std::size_t count = loaded.size();
    const std::scoped_lock lock(table().mutex);
    Choices all = table().choices;
    for (auto& [problem, choice] : loaded) all.insert_or_assign(problem, choice);
    table().choices.swap(all);
    table().generation.fetch_add(1, std::memory_order_acq_rel);
    return count;
  });
}

}  // namespace dygrad
