#include <dygrad/core/data/data_loader.h>

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/use_one_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/dispatch/detail/thread_local_state.h>

namespace dygrad {

namespace {

constexpr std::int64_t kEndOfEpochs = INT64_MAX;  // epochs are counted in 64 bits

/// The samples of one epoch in order, which is 0, 1, ... where none is stored.
class EpochOrder {
 public:
  /// Shuffled orders come from a generator of the epoch's own.
  EpochOrder(std::int64_t size, const DataLoaderOptions& options, std::int64_t epoch) {
    if (!options.shuffle) return;
    const detail::PhiloxBlock bits = detail::philox(options.seed, static_cast<std::uint64_t>(epoch), 1);
    Generator generator(bits.word[0] | std::uint64_t{bits.word[1]} << 32);
    shuffled_ = permutation(size, &generator);
  }
  /// The samples at [position, position + count).
  std::vector<std::int64_t> indices(std::int64_t position, std::int64_t count) const {
    if (count > std::int64_t{1} << 48) detail::fail_out_of_memory("DataLoader");
    std::vector<std::int64_t> list(static_cast<std::size_t>(count));
    const std::int64_t* order = shuffled_.defined() ? shuffled_.data<std::int64_t>() + position : nullptr;
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = order ? order[i] : position + static_cast<std::int64_t>(i);
    return list;
  }

 private:
  Tensor shuffled_;
};

std::int64_t checked_size(const Dataset& dataset) {
  const std::int64_t size = dataset.size();
  if (size < 0) {
    throw InvalidArgument(Message("DataLoader", "the dataset has a negative number of samples.")
                              .expected("Dataset::size() >= 0")
                              .got("{}", size)
                              .fix("let size() return the number of samples, 0 for none"));
  }
  return size;
}

/// Those that an epoch gives of a dataset's `size`.
std::int64_t samples_of(std::int64_t size, const DataLoaderOptions& options) {
  return options.drop_last ? size - size % options.batch_size : size;
}

void check_epoch(std::int64_t epoch) {
  if (epoch >= 0 && epoch < kEndOfEpochs) return;
  throw InvalidArgument(Message("DataLoader", "there is no such epoch.")
                            .expected("0 <= epoch < {}", kEndOfEpochs)
                            .got("{}", epoch)
                            .fix("call set_epoch with a number within that range"));
}

[[noreturn]] void fail_moved(std::string_view what) {
  throw Error(Message("DataLoader", "the {} was moved from.", what).fix("use the one that it went to"));
}

}  // namespace

/// Batches in order, made by the thread or on demand, with room for `prefetch` of them in between.
class DataLoader::Pass {
 public:
  Pass(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& options, std::int64_t epoch,
       std::int64_t first_batch, std::int64_t size)
      : dataset_(std::move(dataset)),
        options_(options),
        order_(size, options, epoch),
        num_samples_(samples_of(size, options)),
        position_(first_batch > num_samples_ / options.batch_size ? num_samples_ : first_batch * options.batch_size) {}
  ~Pass() {
    if (!worker_) return;
    if (worker_->is_of_parent()) {  // its lock may be held, and its thread waited for, by nobody for ever
      (void)worker_.release();
      return;
    }
    {
      const std::scoped_lock lock(worker_->mutex);
      worker_->stopped = true;
    }
    worker_->changed.notify_all();
    if (worker_->thread.joinable()) worker_->thread.join();
  }

  /// Not in the constructor: the thread has to be joined if the first batch throws.
  void start() {
    if (options_.prefetch > 0 && has_next()) start_thread();
    advance();
  }
  bool is_done() const { return done_; }
  const Sample& current() const { return current_; }

  void advance() {
    current_.clear();  // its memory may serve the next batch
    done_ = true;      // also after an error: it ends the pass
    if (!worker_) {
      if (!has_next()) return;
      current_ = make_next();
    } else {
      Worker& worker = *worker_;
      if (worker.is_of_parent()) fail_forked();
      std::unique_lock lock(worker.mutex);
      worker.changed.wait(lock, [&] { return !worker.ready.empty() || worker.finished; });
      if (worker.ready.empty()) {
        if (worker.error) std::rethrow_exception(std::exchange(worker.error, nullptr));
        return;
      }
      current_ = std::move(worker.ready.front());
      worker.ready.pop_front();
      lock.unlock();
      worker.changed.notify_all();
    }
    done_ = false;
  }

 private:
  /// The background thread and what it shares.
  struct Worker {
    bool is_of_parent() const noexcept { return process != getpid(); }

    const pid_t process = getpid();
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Sample> ready;
    std::exception_ptr error;
    bool finished = false;
    bool stopped = false;
    std::thread thread;
  };

  [[noreturn]] static void fail_forked() {
    throw Error(Message("DataLoader", "the pass cannot go on in a forked process.")
                    .line("the thread that prepares its batches is the parent's")
                    .fix("begin a pass in the child, after set_epoch(epoch, batches done), or set prefetch = 0"));
  }

  void start_thread() {
    try {
      detail::with_out_of_memory("DataLoader", [this] {
        worker_ = std::make_unique<Worker>();
        worker_->thread = std::thread([this] { work(); });
      });
    } catch (const std::system_error& error) {
      throw Error(Message("DataLoader", "the system gives no thread to prepare batches.")
                      .line("{}", error.what())
                      .expected("one thread for each pass with prefetch >= 1")
                      .got("prefetch {}", options_.prefetch)
                      .fix("set prefetch = 0, or raise the limit on threads"));
    }
  }

  bool has_next() const { return position_ < num_samples_; }
  Sample make_next() {
    const std::int64_t count = std::min(options_.batch_size, num_samples_ - position_);
    const std::int64_t first = std::exchange(position_, position_ + count);
    return detail::with_out_of_memory("DataLoader", [&] {
      const std::vector<std::int64_t> indices = order_.indices(first, count);
      Sample batch = detail::call_user([&] { return dataset_->batch(indices); });
      if (!options_.transform) return batch;
      return detail::call_user([&] { return options_.transform(std::move(batch)); });
    });
  }

  void work() {
    detail::use_one_thread();  // the cores belong to the training
    Worker& worker = *worker_;
    try {
      const ThreadLocalStateGuard as_caller(state_of_caller_);
      while (has_next()) {
        Sample batch = make_next();
        std::unique_lock lock(worker.mutex);
        worker.changed.wait(
            lock, [&] { return worker.stopped || worker.ready.size() < static_cast<std::size_t>(options_.prefetch); });
        if (worker.stopped) return;
        detail::with_out_of_memory("DataLoader", [&] { worker.ready.push_back(std::move(batch)); });
        lock.unlock();
        worker.changed.notify_all();
      }
    } catch (...) {
      const std::scoped_lock lock(worker.mutex);
      worker.error = std::current_exception();
    }
    {
      const std::scoped_lock lock(worker.mutex);
      worker.finished = true;
    }
    worker.changed.notify_all();
  }

  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  EpochOrder order_;
  std::int64_t num_samples_;
  std::int64_t position_;  // in order_; of the thread, where there is one
  ThreadLocalState state_of_caller_;
  Sample current_;
  bool done_ = false;
  std::unique_ptr<Worker> worker_;  // null without prefetch
};

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, DataLoaderOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  if (!dataset_)
    throw InvalidArgument(
        Message("DataLoader", "the dataset is null.").fix("pass a dataset, for instance a TensorDataset"));
  if (options_.batch_size < 1) {
    throw InvalidArgument(Message("DataLoader", "batches would be empty.")
                              .expected("batch_size >= 1")
                              .got("{}", options_.batch_size)
                              .fix("give a batch_size of 1 or more"));
  }
  if (options_.prefetch < 0) {
    throw InvalidArgument(Message("DataLoader", "prefetch is negative.")
                              .expected("prefetch >= 0")
                              .got("{}", options_.prefetch)
                              .fix("give a prefetch of 0 or more batches"));
  }
}

const Dataset& DataLoader::dataset() const {
  if (!dataset_) fail_moved("loader");
  return *dataset_;
}

std::int64_t DataLoader::num_samples() const { return samples_of(checked_size(dataset()), options_); }

std::int64_t DataLoader::num_batches() const {
  const std::int64_t samples = num_samples();
  return samples / options_.batch_size + (samples % options_.batch_size != 0);
}

void DataLoader::set_epoch(std::int64_t epoch, std::int64_t first_batch) {
  check_epoch(epoch);
  if (first_batch < 0) {
    throw InvalidArgument(Message("DataLoader", "batches count from 0.")
                              .expected("first_batch >= 0")
                              .got("{}", first_batch)
                              .fix("give a first_batch of 0 or more"));
  }
  epoch_ = epoch;
  first_batch_ = first_batch;
}

DataLoader::Iterator DataLoader::begin() {
  check_epoch(epoch_);
  const std::int64_t size = checked_size(dataset());
  auto pass = detail::with_out_of_memory(
      "DataLoader", [&] { return std::make_shared<Pass>(dataset_, options_, epoch_, first_batch_, size); });
  pass->start();
  ++epoch_;
  first_batch_ = 0;
  return Iterator(std::move(pass));
}

DataLoader::Iterator::Iterator(std::shared_ptr<Pass> pass) : pass_(std::move(pass)) {}
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&&) noexcept = default;
DataLoader::Iterator::~Iterator() = default;
DataLoader::Pass& DataLoader::Iterator::pass() const {
  if (!pass_) fail_moved("iterator");
  return *pass_;
}
const Sample& DataLoader::Iterator::operator*() const { return pass().current(); }
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  pass().advance();
  return *this;
}
bool DataLoader::Iterator::operator==(std::default_sentinel_t) const { return pass().is_done(); }

}  // namespace dygrad
