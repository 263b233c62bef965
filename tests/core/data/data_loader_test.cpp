#include <dygrad/core/data/data_loader.h>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/child_process.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <thread>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

using Order = std::vector<std::int64_t>;

std::shared_ptr<const Dataset> count_to(std::int64_t size) {
  return std::make_shared<TensorDataset>(std::vector<Tensor>{arange(size)});
}

Order all_of(DataLoader& loader) {
  Order order;
  for (const Sample& batch : loader) {
    const Order part = batch[0].to_vector<std::int64_t>();
    order.insert(order.end(), part.begin(), part.end());
  }
  return order;
}

/// Counts calls; throws at one sample.
class Fragile : public Dataset {
 public:
  Fragile(std::int64_t size, std::int64_t broken) : size_(size), broken_(broken) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t i) const override {
    ++calls;
    if (i == broken_) throw IoError("sample " + std::to_string(i) + " is broken");
    return {tensor(i)};
  }
  mutable std::atomic<int> calls{0};

 private:
  std::int64_t size_, broken_;
};

/// Claims any number of samples.
struct Claiming : Dataset {
  explicit Claiming(std::int64_t n) : claimed(n) {}
  std::int64_t size() const override { return claimed; }
  Sample get(std::int64_t i) const override { return {tensor(i)}; }
  std::int64_t claimed;
};

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// Bytes of address space that this process uses.
rlim_t address_space() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("a loader gives every sample once, in order, in batches", "[smoke][threads]") {
  for (int prefetch : {0, 1, 3}) {
    DataLoader loader(count_to(10), {.batch_size = 4, .prefetch = prefetch});
    CHECK(loader.num_batches() == 3);
    std::vector<std::int64_t> sizes;
    for (const Sample& batch : loader) sizes.push_back(batch[0].dim(0));
    CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
    CHECK(all_of(loader) == Order{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
}

TEST_CASE("a last batch that is not full can be dropped", "[threads]") {
  DataLoader loader(count_to(10), {.batch_size = 4, .drop_last = true});
  CHECK(loader.num_batches() == 2);
  CHECK(loader.num_samples() == 8);
  CHECK(all_of(loader).size() == 8);
  DataLoader none(count_to(3), {.batch_size = 4, .drop_last = true});
  CHECK(none.num_batches() == 0);
  CHECK(all_of(none).empty());
}

TEST_CASE("an empty dataset has no batches") {
  DataLoader loader(count_to(0));
  CHECK(loader.num_batches() == 0);
  CHECK(all_of(loader).empty());
}

TEST_CASE("shuffled orders depend on seed and epoch alone", "[threads]") {
  const auto loader_of = [](std::uint64_t seed, int prefetch) {
    return DataLoader(count_to(100), {.batch_size = 7, .shuffle = true, .seed = seed, .prefetch = prefetch});
  };
  DataLoader a = loader_of(1, 2), b = loader_of(1, 0), c = loader_of(2, 2);
  const Order first = all_of(a), second = all_of(a);
  CHECK(a.epoch() == 2);
  CHECK(first != second);
  CHECK(all_of(b) == first);
  CHECK(all_of(b) == second);
  CHECK(all_of(c) != first);
  Order sorted = first;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == arange(100).to_vector<std::int64_t>());
  a.set_epoch(0);
  CHECK(all_of(a) == first);
}

TEST_CASE("a pass can be resumed at any batch", "[threads]") {
  for (int prefetch : {0, 2}) {
    DataLoader loader(count_to(50), {.batch_size = 8, .shuffle = true, .seed = 3, .prefetch = prefetch});
    loader.set_epoch(4);
    const Order whole = all_of(loader);
    for (std::int64_t done = 0; done <= 8; ++done) {
      loader.set_epoch(4, done);
      const Order rest = all_of(loader);
      CHECK(rest == Order(whole.begin() + std::min<std::ptrdiff_t>(8 * done, 50), whole.end()));
    }
    CHECK(loader.epoch() == 5);
    CHECK(all_of(loader).size() == 50);  // only the next pass is shortened
  }
}

TEST_CASE("errors of the dataset reach the caller at the batch they belong to", "[threads]") {
  for (int prefetch : {0, 1, 8}) {
    DataLoader loader(std::make_shared<Fragile>(20, 9), {.batch_size = 4, .prefetch = prefetch});
    int batches = 0;
    const auto run = [&] {
      for (const Sample& batch : loader) batches += batch[0].dim(0) == 4;
    };
    CHECK_THROWS_MATCHES(run(), IoError, MessageContains("sample 9 is broken"));
    CHECK(batches == 2);
    DataLoader at_once(std::make_shared<Fragile>(20, 0), {.batch_size = 4, .prefetch = prefetch});
    CHECK_THROWS_AS(at_once.begin(), IoError);
  }
}

TEST_CASE("a pass that failed is over", "[threads]") {
  DataLoader loader(std::make_shared<Fragile>(20, 9), {.batch_size = 4});
  auto pass = loader.begin();
  ++pass;
  CHECK_THROWS_AS(++pass, IoError);
  CHECK(pass == loader.end());
}

TEST_CASE("leaving a pass early stops its thread", "[threads]") {
  const auto dataset = std::make_shared<Fragile>(1000000, -1);
  {
    DataLoader loader(dataset, {.batch_size = 2, .prefetch = 3});
    int batches = 0;
    for (const Sample& batch : loader) {
      CHECK(batch.size() == 1);
      if (++batches == 5) break;
    }
    { const auto unused = loader.begin(); }
  }
  CHECK(dataset.use_count() == 1);
  CHECK(dataset->calls < 100);
}

TEST_CASE("a pass outlives its loader", "[threads]") {
  auto pass = DataLoader(count_to(10), {.batch_size = 5}).begin();
  CHECK((*pass)[0].to_vector<std::int64_t>() == Order{0, 1, 2, 3, 4});
  ++pass;
  CHECK(pass->front().to_vector<std::int64_t>() == Order{5, 6, 7, 8, 9});
  ++pass;
  CHECK(pass == std::default_sentinel);
}

TEST_CASE("the thread never works further ahead than asked for", "[threads]") {
  const auto dataset = std::make_shared<Fragile>(1000, -1);
  DataLoader loader(dataset, {.batch_size = 1, .prefetch = 2});
  auto pass = loader.begin();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(dataset->calls <= 4);  // the one given out, two that wait, one in the making
  CHECK(pass != loader.end());
}

TEST_CASE("a transform is applied to every batch", "[threads]") {
  for (int prefetch : {0, 2}) {
    DataLoader loader(count_to(4), {.batch_size = 2, .prefetch = prefetch, .transform = [](Sample batch) {
                                      batch.push_back(full({1}, static_cast<double>(batch[0].dim(0))));
                                      return batch;
                                    }});
    for (const Sample& batch : loader) CHECK(batch.at(1).item() == 2);
    DataLoader broken(count_to(4),
                      {.prefetch = prefetch, .transform = [](Sample) -> Sample { throw InvalidArgument("no"); }});
    CHECK_THROWS_AS(broken.begin(), InvalidArgument);
  }
}

TEST_CASE("dataset and transform run in the modes of the thread that began the pass", "[threads]") {
  for (int prefetch : {0, 2}) {
    bool grad_enabled = true, anomaly = false, forced = false, direct = false;
    DataLoader loader(count_to(1), {.prefetch = prefetch, .transform = [&](Sample batch) {
                                      grad_enabled = is_grad_enabled();
                                      anomaly = AnomalyMode::is_enabled();
                                      forced = forced_backend() && forced_backend()->name() == "reference";
                                      direct = execution_context().math_mode == MathMode::strict;
                                      return batch;
                                    }});
    {
      const NoGrad no_grad;
      const AnomalyMode watching;
      const BackendGuard backend("reference");
      const ExecutionGuard execution({.math_mode = MathMode::strict});
      (void)loader.begin();
    }
    CHECK(!grad_enabled);
    CHECK(anomaly);
    CHECK(forced);
    CHECK(direct);
    (void)loader.begin();
    CHECK(grad_enabled);
    CHECK(!anomaly);
  }
}

TEST_CASE("a dataset of a negative size is refused, and one of any other gives its batches", "[threads]") {
  for (std::int64_t size : {std::int64_t{-1}, std::int64_t{-1000}, std::numeric_limits<std::int64_t>::min()}) {
    for (bool shuffle : {false, true}) {
      DataLoader loader(std::make_shared<Claiming>(size), {.shuffle = shuffle, .drop_last = shuffle});
      CHECK_THROWS_MATCHES(
          loader.begin(), InvalidArgument,
          MessageContains("DataLoader", "negative", "size() >= 0", "got " + std::to_string(size), "fix"));
      CHECK_THROWS_AS(loader.num_batches(), InvalidArgument);
      CHECK_THROWS_AS(loader.num_samples(), InvalidArgument);
      CHECK(loader.epoch() == 0);
    }
  }
  DataLoader huge(std::make_shared<Claiming>(kMax), {.batch_size = 2});
  CHECK((*huge.begin())[0].to_vector<std::int64_t>() == Order{0, 1});
  huge.set_epoch(0, huge.num_batches() - 1);
  CHECK((*huge.begin())[0].to_vector<std::int64_t>() == Order{kMax - 1});
  DataLoader shuffled(std::make_shared<Claiming>(kMax), {.shuffle = true});
  CHECK_THROWS_AS(shuffled.begin(), Error);
  DataLoader whole(std::make_shared<Claiming>(kMax), {.batch_size = kMax});
  CHECK_THROWS_AS(whole.begin(), OutOfMemory);
}

TEST_CASE("the last epoch of 64 bits is refused before it would overflow", "[threads]") {
  DataLoader loader(count_to(3), {.prefetch = 0});
  CHECK_THROWS_MATCHES(loader.set_epoch(kMax), InvalidArgument,
                       MessageContains("0 <= epoch <", "got " + std::to_string(kMax)));
  loader.set_epoch(kMax - 1, kMax);
  CHECK(loader.begin() == loader.end());
  CHECK(loader.epoch() == kMax);
  CHECK_THROWS_AS(loader.begin(), InvalidArgument);
  loader.set_epoch(0);
  CHECK(all_of(loader).size() == 3);
}

TEST_CASE("a pass that could not begin leaves its loader as it was", "[threads]") {
  for (int prefetch : {0, 2}) {
    bool broken = true;
    DataLoader loader(count_to(8), {.batch_size = 2, .shuffle = true, .prefetch = prefetch, .transform = [&](Sample b) {
                                      if (broken) throw IoError("not now");
                                      return b;
                                    }});
    loader.set_epoch(3, 1);
    CHECK_THROWS_AS(loader.begin(), IoError);
    CHECK(loader.epoch() == 3);
    broken = false;
    CHECK(all_of(loader).size() == 6);
    CHECK(loader.epoch() == 4);
  }
}

TEST_CASE("a loader that gets no thread says so", "[threads]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  SUCCEED("sanitizers end a process that gets no memory for a thread");
  return;
#endif
  const auto child_result = [] {
    DataLoader loader(count_to(3));
    // New mappings fail from here on, a thread's stack among them.
    const rlimit limit{.rlim_cur = address_space(), .rlim_max = RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
    auto& waiting = *new std::vector<std::thread>;  // on the stacks of threads that have ended, which are kept
    try {
      for (;;) waiting.emplace_back([] { pause(); });
    } catch (const std::exception&) {
    }
    try {
      (void)loader.begin();
      return 3;
    } catch (const Error& error) {
      return MessageContains("DataLoader", "no thread", "prefetch = 0").match(error) && loader.epoch() == 0 ? 0 : 4;
    } catch (const std::exception&) {
      return 5;
    }
  };
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(child_result());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("impossible options are refused", "[threads]") {
  CHECK_THROWS_AS(DataLoader(nullptr), InvalidArgument);
  CHECK_THROWS_MATCHES(DataLoader(count_to(1), {.batch_size = 0}), InvalidArgument,
                       MessageContains("batch_size >= 1", "got 0"));
  CHECK_THROWS_AS(DataLoader(count_to(1), {.prefetch = -1}), InvalidArgument);
  DataLoader loader(count_to(1));
  CHECK_THROWS_AS(loader.set_epoch(-1), InvalidArgument);
  CHECK_THROWS_AS(loader.set_epoch(0, -1), InvalidArgument);
}

TEST_CASE("sixty thousand images pass through with one allocation per tensor of a batch", "[threads]") {
  const auto dataset =
      std::make_shared<TensorDataset>(std::vector<Tensor>{zeros({60000, 28, 28}, uint8), zeros({60000}, int64)});
  DataLoader loader(dataset, {.batch_size = 128, .shuffle = true});
  const std::int64_t before = allocator_statistics().allocations;
  std::int64_t images = 0;
  for (const Sample& batch : loader) images += batch[0].dim(0);
  CHECK(images == 60000);
  constexpr std::int64_t kForTheOrder = 2;
  CHECK(allocator_statistics().allocations - before <= 2 * loader.num_batches() + kForTheOrder);
}

TEST_CASE("a loader and a pass that were moved from say so", "[threads]") {
  for (int prefetch : {0, 2}) {
    DataLoader loader(count_to(4), {.batch_size = 2, .prefetch = prefetch});
    DataLoader moved = std::move(loader);
    const auto says_moved = MessageContains("DataLoader", "moved from", "fix:");
    CHECK_THROWS_MATCHES(loader.num_batches(), Error, says_moved);
    CHECK_THROWS_MATCHES(loader.num_samples(), Error, says_moved);
    CHECK_THROWS_MATCHES(loader.begin(), Error, says_moved);
    auto pass = moved.begin();
    auto other = std::move(pass);
    CHECK_THROWS_MATCHES(++pass, Error, says_moved);
    CHECK_THROWS_MATCHES(*pass, Error, says_moved);
    CHECK_THROWS_MATCHES((void)(pass == std::default_sentinel), Error, says_moved);
    ++other;
    CHECK((*other)[0].to_vector<std::int64_t>() == Order{2, 3});
  }
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a pass does not go on in a forked child, and a new one does", "[threads]") {
  // Forked while the thread waits for room, while it makes a batch, and when it is done.
  for (const std::int64_t size : {1000, 6, 2}) {
    DataLoader loader(count_to(size), {.batch_size = 2, .prefetch = 2});
    auto pass = loader.begin();
    for (int repeat = 0; repeat < 3; ++repeat) {
      CHECK(dygrad::testing::exit_status_of_child([&] {
              {
                const auto inherited = std::move(pass);
                if (!((*inherited)[0].to_vector<std::int64_t>() == Order{0, 1})) return 1;
              }
              auto own = loader.begin();
              if (loader.num_batches() > 1) ++own;
              return (*own)[0].to_vector<std::int64_t>()[0] == (loader.num_batches() > 1 ? 2 : 0) ? 0 : 2;
            }) == 0);
      CHECK(dygrad::testing::exit_status_of_child([&] {
              try {
                ++pass;
              } catch (const Error& error) {
                return MessageContains("DataLoader", "forked process", "parent's", "fix:").match(error) &&
                               pass == std::default_sentinel
                           ? 0
                           : 1;
              }
              return 2;
            }) == 0);
    }
    if (size > 2) {
      ++pass;
      CHECK((*pass)[0].to_vector<std::int64_t>() == Order{2, 3});
    }
  }
}
#endif
