#include "options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <type_traits>

#include <dygrad/core/base/error.h>

namespace {

/// Calls f(name, field, explanation) for every setting.
template <class SettingsType, class F>
void for_each_setting(SettingsType& s, const F& f) {
  f("epochs", s.epochs, "times to go through the training images");
  f("batch-size", s.batch_size, "images per step");
  f("learning-rate", s.learning_rate, "highest rate of Adam; it warms up, then falls along a cosine");
  f("bottleneck", s.bottleneck, "numbers that each image of 784 is squeezed into");
  f("seed", s.seed, "of the first weights and of the order of the images");
  f("dtype", s.dtype, "float32 or float64");
  f("limit", s.limit, "use only so many training images (0: all)");
}

std::string to_text(const std::string& value) { return value; }
std::string to_text(std::int64_t value) { return std::to_string(value); }
std::string to_text(double value) { return fmt::format("{}", value); }  // the shortest that reads back to the same

template <class T>
void read(const std::string& text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    value = text;
  } else {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw dygrad::IoError(fmt::format("resume: the checkpoint holds a setting \"{}\" that is no number.", text));
    }
  }
}

const char* const kHelp =
    "Trains a convolutional autoencoder: Conv2D down to a few numbers per image, Conv2DTranspose up again.\n"
    "Writes reconstructions.png, loss.svg, metrics.csv and checkpoint.safetensors. Ctrl-C saves and leaves.";

}  // namespace

Settings::Texts Settings::to_texts() const {
  Texts texts;
  for_each_setting(*this, [&](const char* name, const auto& value, const char*) { texts[name] = to_text(value); });
  return texts;
}

Settings Settings::from_texts(const Texts& saved, const Settings& asked, const std::set<std::string>& given) {
  const Texts wanted = asked.to_texts();
  Settings result;
  for_each_setting(result, [&](const std::string& name, auto& value, const char*) {
    const auto found = saved.find(name);
    if (found == saved.end()) throw dygrad::IoError(fmt::format("resume: the checkpoint lacks the setting {}.", name));
    read(found->second, value);
    if (!given.contains(name)) return;
    if (name == "epochs") read(wanted.at(name), value);
    else if (to_text(value) != wanted.at(name)) {
      throw dygrad::InvalidArgument(
          fmt::format("resume: the run was started with --{} {}, not {}.", name, found->second, wanted.at(name)));
    }
  });
  return result;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  CLI::App app(kHelp);
  std::map<std::string, CLI::Option*> settings;
  for_each_setting(options.settings, [&](const std::string& name, auto& value, const char* explanation) {
    settings[name] = app.add_option("--" + name, value, explanation)->capture_default_str();
  });
  for (const char* name : {"epochs", "batch-size"}) settings[name]->check(CLI::Range(1, 1'000'000));
  for (const char* name : {"seed", "limit"}) settings[name]->check(CLI::NonNegativeNumber);
  settings["bottleneck"]->check(CLI::Range(1, 784));
  settings["learning-rate"]->check(CLI::Range(1e-9, 10.));
  settings["dtype"]->check(CLI::IsMember({"float32", "float64"}));
  app.add_option("--threads", options.threads, "cores to use (0: all)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--data", options.data,
                 "folder of Fashion-MNIST, or \"shapes\" for drawn images (default: look for it)");
  app.add_option("--output", options.output, "folder to write into")->capture_default_str();
  app.add_flag("--resume", options.resume,
               "go on from the checkpoint in the output folder; more --epochs train further");
  app.add_option("--stop-after", options.stop_after, "save and leave after so many steps, as Ctrl-C does (0: never)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    std::string problem = error.what();
    std::replace(problem.begin(), problem.end(), '\n', ' ');
    fmt::print(stderr, "autoencoder: {} (--help lists the options)\n", problem);
    return 2;
  }
  for (const auto& [name, option] : settings) {
    if (option->count() > 0) options.given.insert(name);
  }
  return options;
}
