// What all benchmark programs share: their options, running cases one after the other, serving them to compare.py,
// JSON.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <dygrad/tests/bench/support/timing.h>

namespace dygrad::bench {

using Json = nlohmann::ordered_json;

/// A case made ready: what to time, and what is known about it by then.
struct Ready {
  std::function<void()> call;
  Json facts = Json::object();  ///< e.g. the algorithm that runs
};

struct Case {
  std::string name;
  std::function<Ready()> prepare;  ///< makes the tensors; they go with the Ready
};

struct Result {
  std::string name;
  Timing timing;
  Json facts;
  Json to_json() const;
};

/// A benchmark program. Options that all have: --threads, --only, --json, --seconds, --quick, --serve.
class Program {
 public:
  Program(std::string benchmark, std::string library, const std::string& description);

  CLI::App& options() { return app_; }
  /// Exits after --help or on a wrong option.
  void parse(int argc, char** argv);

  int threads() const { return threads_; }
  bool quick() const { return quick_; }
  bool serves() const { return serve_; }
  const Effort& effort() const { return effort_; }

  /// Facts about the run as a whole, for the JSON: versions, calibration, sums.
  Json facts = Json::object();

  /// Runs each case whose name contains --only and hands its result to `show`, which may add facts, or serves them.
  /// Returns the exit status.
  int run(const std::vector<Case>& cases, const std::function<void(Result&)>& show,
          const std::function<void(const std::vector<Result>&)>& finish = {});

 private:
  Json describe() const;
  int serve(const std::vector<Case>& cases);

  CLI::App app_;
  std::string benchmark_, library_, only_, json_path_;
  int threads_ = 0;
  bool quick_ = false, serve_ = false;
  Effort effort_;
};

}  // namespace dygrad::bench
