// The command line.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>

/// What the numbers of a run depend on; kept in its checkpoint.
struct Settings {
  std::int64_t epochs = 8;
  std::int64_t batch_size = 128;
  double learning_rate = 0.003;
  std::int64_t bottleneck = 64;  // numbers that an image is squeezed into
  std::int64_t seed = 1;
  std::string dtype = "float32";
  std::int64_t limit = 0;  // training images to use; 0: all

  using Texts = std::map<std::string, std::string>;
  Texts to_texts() const;
  /// These settings for what the user left open. Throws dygrad::IoError on a text that is none of ours, and
  /// dygrad::InvalidArgument if the user gave another value for anything but the number of epochs.
  static Settings from_texts(const Texts& saved, const Settings& asked, const std::set<std::string>& given);
};

struct Options {
  Settings settings;
  std::set<std::string> given;  // names of the settings that the user chose
  int threads = 0;              // 0: all cores
  std::string data;             // folder or "shapes"; empty: look for it
  std::string output = "out";   // folder
  bool resume = false;
  std::int64_t stop_after = 0;  // steps; 0: never

  std::string checkpoint_path() const { return output + "/checkpoint.safetensors"; }
};

/// The options, or the exit code if there is nothing to run: 0 after --help, 2 after a mistake and one line about it.
std::variant<Options, int> parse_options(int argc, char** argv);
