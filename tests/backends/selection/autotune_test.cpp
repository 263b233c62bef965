// Trying algorithms out: what is tuned, kept, saved and loaded.
#include <dygrad/backends/selection/autotune.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/support/temporary_folder.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr ConvShape kShape{"tuned", 2, 8, 6, 6, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 0, 0};

struct Case {
  ConvOperands in{kShape, float32, random_values};
  Conv2DParams p = kShape.params();
  Problem problem{Kind::conv2d_transpose, float32, &p, in.x.shape(), in.w.shape(), in.g.shape()};
};

/// Leaves nothing tuned behind.
struct CleanTable {
  CleanTable() { clear_autotune(); }
  ~CleanTable() { clear_autotune(); }
  CleanTable(const CleanTable&) = delete;
  CleanTable& operator=(const CleanTable&) = delete;
};

/// One for each process: tests run side by side.
std::string scratch_file() {
  const std::string name = "dygrad_autotune_test_" + std::to_string(::getpid()) + ".txt";
  return (std::filesystem::temp_directory_path() / name).string();
}

void write(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("nothing is tried unless asked, and estimates decide") {
  const CleanTable clean;
  const Case c;
  compute(c.problem, c.in.x, c.in.w);
  CHECK_FALSE(autotune::find(c.problem));
}

TEST_CASE("under autotuning the first call of a problem tries all algorithms, and later calls use the fastest") {
  const CleanTable clean;
  const Case c;
  const ExecutionGuard guard({.autotune = true});
  const Tensor y = compute(c.problem, c.in.x, c.in.w);
  const std::optional<Choice> tuned = autotune::find(c.problem);
  REQUIRE(tuned);
  CHECK(tuned->algorithm->supports(c.problem));
  if (!forced_backend()) CHECK(choose(c.problem).algorithm == tuned->algorithm);
  const Tensor magnitude = ConvOperands(kShape, absolute(c.in.x), absolute(c.in.w), absolute(c.in.g))
                               .run(backend("reference"), Kind::conv2d_transpose);
  check_within(y, c.in.run(backend("reference"), Kind::conv2d_transpose), magnitude,
               2 * gamma(reduction_length(kShape, Kind::conv2d_transpose), float32));
}

TEST_CASE("empty problems are not tried, and a forced backend is the only one that is") {
  const CleanTable clean;
  const ExecutionGuard guard({.autotune = true});
  constexpr ConvShape kEmpty[] = {{"no images", 0, 4, 5, 5, 6, 3, 3, 1, 1, 0, 0, 1, 1, 1, 0, 0},
                                  {"no channels", 2, 0, 5, 5, 6, 3, 3, 1, 1, 0, 0, 1, 1, 1, 0, 0},
                                  {"no filters", 2, 4, 5, 5, 0, 3, 3, 1, 1, 0, 0, 1, 1, 1, 0, 0}};
  for (const ConvShape& shape : kEmpty) {
    const ConvOperands in(shape, float32, random_values);
    const Conv2DParams p = shape.params();
    for (const Kind kind : kDirections) {
      INFO(shape << ", " << name_of(kind));
      const Problem problem{kind, float32, &p, in.x.shape(), in.w.shape(), in.g.shape()};
      const Tensor result =
          compute(problem, kind == Kind::conv2d ? in.g : in.x, kind == Kind::conv2d_weights ? in.g : in.w);
      CHECK(std::ranges::all_of(result.to_vector<double>(), [](double value) { return value == 0; }));
      CHECK_FALSE(autotune::find(problem));
    }
  }
  const BackendGuard forced("reference");
  const Case c;
  compute(c.problem, c.in.x, c.in.w);
  CHECK(autotune::find(c.problem)->backend == &backend("reference"));
}

TEST_CASE("what was tuned holds for its number of threads only") {
  const CleanTable clean;
  const Case c;
  const int before = num_threads();
  {
    const ExecutionGuard guard({.autotune = true});
    compute(c.problem, c.in.x, c.in.w);
  }
  set_num_threads(before + 1);
  CHECK_FALSE(autotune::find(c.problem));
  set_num_threads(before);
  CHECK(autotune::find(c.problem));
}

TEST_CASE("a saved table makes another run choose the same") {
  const CleanTable clean;
  const Case c;
  {
    const ExecutionGuard guard({.autotune = true});
    compute(c.problem, c.in.x, c.in.w);
  }
  const Choice tuned = *autotune::find(c.problem);
  save_autotune(scratch_file());
  clear_autotune();
  CHECK_FALSE(autotune::find(c.problem));
  CHECK(load_autotune(scratch_file()) == 1);
  REQUIRE(autotune::find(c.problem));
  CHECK(autotune::find(c.problem)->algorithm == tuned.algorithm);
  std::filesystem::remove(scratch_file());
}

TEST_CASE("saved choices are found again for each kind, though algorithms of several kinds share a name") {
  const CleanTable clean;
  constexpr ConvShape shape{"image", 1, 32, 24, 24, 32, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0};
  const Conv2DParams p = shape.params();
  const ConvOperands in(shape, float32, random_values);
  const Problem problems[] = {{Kind::conv2d_transpose, float32, &p, in.x.shape(), in.w.shape(), in.g.shape()},
                              {Kind::conv2d, float32, &p, in.x.shape(), in.w.shape(), in.g.shape()},
                              {Kind::conv2d_weights, float32, &p, in.x.shape(), in.w.shape(), in.g.shape()}};
  for (const Problem& problem : problems) {
    {
      const ExecutionGuard guard({.autotune = true});
      const bool from_image = problem.kind == Kind::conv2d;
      compute(problem, from_image ? in.g : in.x, problem.kind == Kind::conv2d_weights ? in.g : in.w);
    }
    const Choice tuned = *autotune::find(problem);
    save_autotune(scratch_file());
    std::string text;
    std::getline(std::ifstream(scratch_file()), text, '\0');
    const std::string end = " " + std::string(tuned.backend->name()) + " " + std::string(tuned.algorithm->name());
    const std::size_t at = text.rfind(end);
    REQUIRE(at != std::string::npos);
    std::size_t num_algorithms = 0;
    for (const auto& backend : all_backends()) {
      for (const Algorithm* algorithm : backend->algorithms()) {
        if (!algorithm->supports(problem)) continue;
        std::string chosen = text;
        chosen.replace(at, end.size(), " " + std::string(backend->name()) + " " + std::string(algorithm->name()));
        write(scratch_file(), chosen);
        clear_autotune();
        CHECK(load_autotune(scratch_file()) == 1);
        const std::optional<Choice> found = autotune::find(problem);
        INFO(chosen);
        REQUIRE(found);
        CHECK(found->algorithm == algorithm);
        ++num_algorithms;
      }
    }
    CHECK(num_algorithms > 1);
    clear_autotune();
  }
  std::filesystem::remove(scratch_file());
}

TEST_CASE("a forced backend is not overruled by what was tuned") {
  const CleanTable clean;
  const Case c;
  {
    const ExecutionGuard guard({.autotune = true});
    compute(c.problem, c.in.x, c.in.w);
  }
  const BackendGuard guard("reference");
  CHECK(choose(c.problem).backend->name() == "reference");
}

TEST_CASE("algorithms that this build lacks are left out, files of another kind refused") {
  const CleanTable clean;
  write(scratch_file(), "dygrad autotune 1\nconv2d_transpose float32:mb1 2 abacus beads\n");
  CHECK(load_autotune(scratch_file()) == 0);
  for (const char* text : {"", "something else\n", "dygrad autotune 1\ntoo few words\n"}) {
    write(scratch_file(), text);
    if (*text == '\0') {
      CHECK_THROWS_AS(load_autotune(scratch_file()), IoError);
    } else {
      CHECK_THROWS_WITH(load_autotune(scratch_file()),
                        ContainsSubstring("load_autotune") && ContainsSubstring("save_autotune"));
    }
  }
  std::filesystem::remove(scratch_file());
  CHECK_THROWS_AS(load_autotune(scratch_file()), IoError);
}

TEST_CASE("a table that no save_autotune wrote is refused before memory is taken for it") {
  const CleanTable clean;
  for (const std::uintmax_t num_bytes : {std::uintmax_t{1} << 40, std::uintmax_t{1} << 30}) {
    write(scratch_file(), "dygrad autotune 1\n");
    std::filesystem::resize_file(scratch_file(), num_bytes);  // sparse: it takes no room on the disk
    CHECK_THROWS_MATCHES(load_autotune(scratch_file()), IoError,
                         MessageContains("load_autotune", scratch_file(), "too large", "save_autotune"));
  }
  std::filesystem::resize_file(scratch_file(), 1 << 20);
  CHECK_THROWS_AS(load_autotune(scratch_file()), IoError);
  std::filesystem::remove(scratch_file());
}

TEST_CASE("a table is saved under any name that a file can have, and under no other") {
  const CleanTable clean;
  const TemporaryFolder folder;
  save_autotune(folder.file(std::string(255, 'n')));
  CHECK(load_autotune(folder.file(std::string(255, 'n'))) == 0);
  CHECK(folder.num_files() == 1);
  const std::string zero = folder.file("a") + std::string(1, '\0') + "b";
  CHECK_THROWS_MATCHES(save_autotune(zero), IoError, MessageContains("save_autotune", "zero byte"));
  CHECK_THROWS_MATCHES(load_autotune(zero), IoError, MessageContains("load_autotune", "zero byte"));
}
