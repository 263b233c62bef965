#include <dygrad/tests/bench/support/program.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include <dygrad/tests/bench/support/machine.h>

namespace dygrad::bench {

Json Result::to_json() const {
  Json json{{"case", name},
            {"ms", timing.median * 1e3},
            {"fastest_ms", timing.fastest * 1e3},
            {"slow_ms", timing.slow * 1e3},
            {"samples", timing.samples}};
  json.update(facts);
  json["peak_mib"] = peak_memory_mib();
  return json;
}

Program::Program(std::string benchmark, std::string library, const std::string& description)
    : app_(description), benchmark_(std::move(benchmark)), library_(std::move(library)) {
  threads_ = static_cast<int>(std::thread::hardware_concurrency());
  app_.add_option("--threads", threads_, "threads of the kernels (default: all cores)")->check(CLI::Range(1, 4096));
  app_.add_option("--only", only_, "run the cases whose name contains this");
  app_.add_option("--json", json_path_, "write results to this file");
  app_.add_option("--seconds", effort_.seconds, "how long to measure each case")->check(CLI::PositiveNumber);
  app_.add_flag("--quick", quick_, "a few calls of each case, to see that it runs");
  app_.add_flag("--serve", serve_, "time the cases that standard input names: see compare.py");
}

void Program::parse(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app_.exit(error));
  }
  if (quick_) effort_ = kQuick;
}

Json Program::describe() const {
  Json json{{"benchmark", benchmark_}, {"library", library_}, {"threads", threads_}, {"machine", machine()}};
  json.update(facts);
  return json;
}

int Program::run(const std::vector<Case>& all, const std::function<void(Result&)>& show,
                 const std::function<void(const std::vector<Result>&)>& finish) {
  std::vector<Case> cases;
  std::copy_if(all.begin(), all.end(), std::back_inserter(cases),
               [&](const Case& c) { return c.name.find(only_) != std::string::npos; });
  if (cases.empty()) {
    std::cerr << "no case contains '" << only_ << "'\n";
    return 2;
  }
  if (serve_) return serve(cases);

  std::vector<Result> results;
  for (const Case& c : cases) {
    Ready ready = c.prepare();
    results.push_back({c.name, measure(ready.call, effort_), std::move(ready.facts)});
    show(results.back());
  }
  if (finish) finish(results);
  if (json_path_.empty()) return 0;
  Json json = describe();
  json["results"] = Json::array();
  for (const Result& result : results) json["results"].push_back(result.to_json());
  const std::filesystem::path path(json_path_);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path);
  out << json.dump(1) << '\n';
  if (!out) {
    std::cerr << json_path_ << ": cannot be written\n";
    return 1;
  }
  return 0;
}

// Note [Serving]
// So that two libraries can be timed in turn without starting them anew, a program waits on a pipe. It first writes one
// line that names its cases; then, for each line "SECONDS CASE" it reads, one line with the result. The last case asked
// for stays ready. A case that cannot run answers with its error, and the program goes on.
int Program::serve(const std::vector<Case>& cases) {
  Json hello = describe();
  for (const Case& c : cases) hello["cases"].push_back(c.name);
  std::cout << hello.dump() << std::endl;

  std::string current;
  Ready ready;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string name;
    Effort effort = effort_;
    words >> effort.seconds >> std::ws;
    std::getline(words, name);
    Json answer{{"case", name}};
    try {
      if (name != current) {
        const auto found = std::find_if(cases.begin(), cases.end(), [&](const Case& c) { return c.name == name; });
        if (found == cases.end()) throw std::runtime_error("there is no such case");
        current.clear();
        ready = {};
        ready = found->prepare();
        current = name;
      }
      answer = Result{name, measure(ready.call, effort), ready.facts}.to_json();
    } catch (const std::exception& error) {
      answer["error"] = error.what();
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace dygrad::bench
