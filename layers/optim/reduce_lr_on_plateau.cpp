#include <dygrad/layers/optim/reduce_lr_on_plateau.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/support/option_range.h>

namespace dygrad {

namespace {
ReduceLROnPlateau::Options checked(ReduceLROnPlateau::Options o) {
  const auto require_word = [](const char* field, const std::string& got, const char* one, const char* other) {
    if (got == one || got == other) return;
    throw InvalidArgument(Message("ReduceLROnPlateau", "{} is not a word that it knows.", field)
                              .expected("{} = \"{}\" or \"{}\"", field, one, other)
                              .got("\"{}\"", got)
                              .fix("set {} = \"{}\" or \"{}\"", field, one, other));
  };
  detail::require_option("ReduceLROnPlateau", detail::is_rate(o.learning_rate), "learning_rate >= 0", "learning_rate",
                         o.learning_rate);
  detail::require_option("ReduceLROnPlateau", detail::is_rate(o.threshold), "threshold >= 0", "threshold", o.threshold);
  detail::require_option("ReduceLROnPlateau", detail::is_rate(o.min_lr), "min_lr >= 0", "min_lr", o.min_lr);
  detail::require_option("ReduceLROnPlateau", detail::is_rate(o.eps), "eps >= 0", "eps", o.eps);
  detail::require_option("ReduceLROnPlateau", o.decay_rate >= 0 && o.decay_rate < 1, "0 <= decay_rate < 1",
                         "decay_rate", o.decay_rate);
  require_word("mode", o.mode, "min", "max");
  require_word("threshold_mode", o.threshold_mode, "rel", "abs");
  const auto is_count = [](std::int64_t n) { return n >= 0 && n <= detail::kMaxSteps; };
  detail::require_option("ReduceLROnPlateau", is_count(o.patience), "0 <= patience <= 2^53", "patience",
                         static_cast<double>(o.patience));
  detail::require_option("ReduceLROnPlateau", is_count(o.cooldown), "0 <= cooldown <= 2^53", "cooldown",
                         static_cast<double>(o.cooldown));
  return o;
}
}  // namespace

struct ReduceLROnPlateau::Plateau final : Schedule::State {
  explicit Plateau(Options o)
      : options(std::move(o)),
        rate(options.learning_rate),
        best((options.mode == "min" ? 1 : -1) * std::numeric_limits<double>::infinity()) {}

  double lr() const override { return rate; }
  void advance() override {
    throw InvalidArgument(Message("ReduceLROnPlateau", "a step needs a loss.").fix("call step(loss)"));
  }
  bool is_per_epoch() const override { return true; }  // optimizers cannot advance it
  std::string name() const override { return "ReduceLROnPlateau"; }

  void step(double loss) {
    count = detail::next_count(count, 1);
    if (cooldown_left > 0) {
      --cooldown_left;
      return;
    }
    if (is_better(loss)) {
      best = loss;
      bad_calls = 0;
    } else {
      ++bad_calls;
    }
    if (bad_calls <= static_cast<double>(options.patience)) return;
    cooldown_left = static_cast<double>(options.cooldown);
    bad_calls = 0;
    const double lower = std::max(rate * options.decay_rate, options.min_lr);
    if (rate - lower > options.eps) rate = lower;
  }

  bool is_better(double loss) const {
    const bool smaller = options.mode == "min";
    if (std::isinf(best)) return smaller ? loss < best : loss > best;
    const double margin = options.threshold_mode == "rel" ? std::abs(best) * options.threshold : options.threshold;
    return smaller ? loss < best - margin : loss > best + margin;
  }

  void save(std::vector<double>& numbers) const override {
    State::save(numbers);
    numbers.insert(numbers.end(), {rate, best, bad_calls, cooldown_left});
  }
  void load(const double*& numbers) override {
    State::load(numbers);
    for (double* field : {&rate, &best, &bad_calls, &cooldown_left}) *field = *numbers++;
  }

  void ranges(std::vector<detail::NumberRange>& list) const override {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kMax = std::numeric_limits<double>::max();
    const double kSteps = static_cast<double>(detail::kMaxSteps);
    State::ranges(list);
    list.insert(list.end(), {{"rate", 0, kMax},
                             {"best", -kInfinity, kInfinity},
                             {"bad_calls", 0, kSteps, /*is_count=*/true},
                             {"cooldown_left", 0, kSteps, /*is_count=*/true}});
  }

  Options options;
  double rate;
  double best;
  double bad_calls = 0;  // counts are numbers of the saved state
  double cooldown_left = 0;
};

ReduceLROnPlateau::ReduceLROnPlateau(Options options)
    : Schedule(detail::with_out_of_memory("ReduceLROnPlateau",
                                          [&] { return std::make_shared<Plateau>(checked(std::move(options))); })) {}

void ReduceLROnPlateau::step(double loss) { static_cast<Plateau&>(shared_state()).step(loss); }

}  // namespace dygrad
