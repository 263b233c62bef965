#include "history.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>

#include "files.h"

using namespace dygrad;

void History::save(StateDict& state) const {
  const auto rows = [&](const std::string& name, const auto& entries, const auto& row) {
    std::vector<double> numbers;
    for (const auto& entry : entries) {
      const auto [a, b] = row(entry);
      numbers.insert(numbers.end(), {a, b});
    }
    state.insert(name, from_vector(numbers, {static_cast<std::int64_t>(entries.size()), 2}));
  };
  rows("history.steps", steps, [](const Step& s) { return std::pair(s.learning_rate, s.error); });
  rows("history.tests", tests, [](const Test& t) { return std::pair(static_cast<double>(t.step), t.error); });
}

History History::load(const StateDict& state) {
  const auto rows = [&](const std::string& name, const auto& use) {
    const Tensor& table = state.at(name);
    if (table.rank() != 2 || table.dim(1) != 2) throw IoError("resume: " + name + " in the checkpoint is no table.");
    const std::vector<double> numbers = table.to_vector<double>();
    for (std::size_t i = 0; i < numbers.size(); i += 2) use(numbers[i], numbers[i + 1]);
  };
  History history;
  rows("history.steps", [&](double rate, double error) { history.steps.push_back({rate, error}); });
  rows("history.tests", [&](double step, double error) {
    history.tests.push_back({static_cast<std::int64_t>(step), error});
  });
  return history;
}

void History::write_csv(const std::string& path, std::int64_t steps_per_epoch) const {
  std::string text = "step,epoch,learning_rate,train_mse,test_mse,test_psnr_db\n";
  const auto out = std::back_inserter(text);
  auto test = tests.begin();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i) + 1;
    const double epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch);
    fmt::format_to(out, "{},{:.4f},{:.8g},{:.8g},", step, epoch, steps[i].learning_rate, steps[i].error);
    if (test != tests.end() && test->step == step) {
      fmt::format_to(out, "{:.8g},{:.2f}", test->error, psnr(test->error));
      ++test;
    } else {
      text += ',';
    }
    text += '\n';
  }
  replace_file(path, text);
}

double psnr(double mean_squared_error) { return -10 * std::log10(mean_squared_error); }
