#include <dygrad/core/data/data_loader.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/core/parallel.h>
#include <dygrad/core/random.h>

namespace dygrad {

namespace {

/// The samples of one epoch in order. Shuffled orders come from a generator of the epoch's own.
std::vector<std::int64_t> epoch_order(std::int64_t size, const DataLoaderOptions& options, std::int64_t epoch) {
  if (options.shuffle) {
    const detail::PhiloxBlock bits = detail::philox(options.seed, static_cast<std::uint64_t>(epoch), 1);
    Generator generator(bits.word[0] | std::uint64_t{bits.word[1]} << 32);
    return permutation(size, &generator).to_vector<std::int64_t>();
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  return order;
}

}  // namespace

/// Batches in order, made by the thread or on demand, with room for `prefetch` of them in between.
class DataLoader::Pass {
 public:
  Pass(std::shared_ptr<const Dataset> dataset, const DataLoaderOptions& options, std::int64_t epoch,
       std::int64_t first_batch, std::int64_t num_samples)
      : dataset_(std::move(dataset)), options_(options), order_(epoch_order(dataset_->size(), options, epoch)) {
    order_.resize(static_cast<std::size_t>(num_samples));
    position_ = first_batch > num_samples / options.batch_size ? num_samples : first_batch * options.batch_size;
  }
  ~Pass() {
    {
      const std::scoped_lock lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  /// Not in the constructor: the thread has to be joined if the first batch throws.
  void start() {
    if (options_.prefetch > 0 && has_next()) thread_ = std::thread([this] { work(); });
    advance();
  }
  bool is_done() const { return done_; }
  const Sample& current() const { return current_; }

  void advance() {
    current_.clear();  // its memory may serve the next batch
    done_ = true;      // also after an error: it ends the pass
    if (!thread_.joinable()) {
      if (!has_next()) return;
      current_ = make_next();
    } else {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !ready_.empty() || finished_; });
      if (ready_.empty()) {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return;
      }
      current_ = std::move(ready_.front());
      ready_.pop_front();
      lock.unlock();
      changed_.notify_all();
    }
    done_ = false;
  }

 private:
  bool has_next() const { return position_ < static_cast<std::int64_t>(order_.size()); }
  Sample make_next() {
    const std::int64_t count = std::min(options_.batch_size, static_cast<std::int64_t>(order_.size()) - position_);
    const std::span indices = std::span<const std::int64_t>(order_).subspan(static_cast<std::size_t>(position_),
                                                                            static_cast<std::size_t>(count));
    position_ += count;
    Sample batch = dataset_->batch(indices);
    return options_.transform ? options_.transform(std::move(batch)) : batch;
  }

  void work() {
    set_num_threads(1);  // for this thread: the cores belong to the training
    try {
      while (has_next()) {
        Sample batch = make_next();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || ready_.size() < static_cast<std::size_t>(options_.prefetch); });
        if (stopped_) return;
        ready_.push_back(std::move(batch));
        lock.unlock();
        changed_.notify_all();
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      error_ = std::current_exception();
    }
    {
      const std::scoped_lock lock(mutex_);
      finished_ = true;
    }
    changed_.notify_all();
  }

  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  std::vector<std::int64_t> order_;
  std::int64_t position_ = 0;  // in order_; of the thread, where there is one
  Sample current_;
  bool done_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Sample> ready_;
  std::exception_ptr error_;
  bool finished_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, DataLoaderOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  if (!dataset_) throw InvalidArgument(Message("DataLoader", "the dataset is null."));
  if (options_.batch_size < 1) {
    throw InvalidArgument(
        Message("DataLoader", "batches would be empty.").expected("batch_size >= 1").got("{}", options_.batch_size));
  }
  if (options_.prefetch < 0) {
    throw InvalidArgument(
        Message("DataLoader", "prefetch is negative.").expected("prefetch >= 0").got("{}", options_.prefetch));
  }
}

std::int64_t DataLoader::num_samples() const {
  const std::int64_t size = dataset_->size();
  return options_.drop_last ? size - size % options_.batch_size : size;
}

std::int64_t DataLoader::num_batches() const {
  const std::int64_t samples = num_samples();
  return samples / options_.batch_size + (samples % options_.batch_size != 0);
}

void DataLoader::set_epoch(std::int64_t epoch, std::int64_t first_batch) {
  if (epoch < 0 || first_batch < 0) {
    throw InvalidArgument(
        Message("DataLoader", "epochs and batches count from 0.").got("epoch {}, first_batch {}", epoch, first_batch));
  }
  epoch_ = epoch;
  first_batch_ = first_batch;
}

DataLoader::Iterator DataLoader::begin() {
  const std::int64_t first_batch = std::exchange(first_batch_, 0);
  auto pass = std::make_shared<Pass>(dataset_, options_, epoch_++, first_batch, num_samples());
  pass->start();
  return Iterator(std::move(pass));
}

DataLoader::Iterator::Iterator(std::shared_ptr<Pass> pass) : pass_(std::move(pass)) {}
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&&) noexcept = default;
DataLoader::Iterator::~Iterator() = default;
const Sample& DataLoader::Iterator::operator*() const { return pass_->current(); }
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  pass_->advance();
  return *this;
}
bool DataLoader::Iterator::operator==(std::default_sentinel_t) const { return pass_->is_done(); }

}  // namespace dygrad
