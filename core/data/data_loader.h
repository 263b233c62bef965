// DataLoader: goes through a dataset in batches, shuffled if asked for, prepared ahead by a background thread:
//   DataLoader loader(dataset, {.batch_size = 64, .shuffle = true});
//   for (const Sample& batch : loader) train(batch[0], batch[1]);
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>

#include <dygrad/core/data/dataset.h>

namespace dygrad {

struct DataLoaderOptions {
  std::int64_t batch_size = 32;
  bool shuffle = false;
  std::uint64_t seed = 0;  ///< of the shuffled orders; equal seeds and epochs give equal orders
  bool drop_last = false;  ///< leave out a last batch that is not full
  int prefetch = 2;        ///< batches prepared ahead by a background thread; 0: each is made when it is asked for
  std::function<Sample(Sample)> transform = {};  ///< applied to every batch, in the background thread if there is one
};

// Note [Modes of the background thread]
// Dataset and transform run in the modes of the thread that began the pass, as they were then: NoGrad, AnomalyMode,
// ExecutionGuard and BackendGuard reach them with prefetch as without, though a guard that is made inside of the pass
// does not. Two things differ: the background thread computes on one thread, and its draws from default_generator()
// interleave with the caller's. A transform that draws is repeatable with a Generator of its own.

/// Each pass over the loader is one epoch, and the next pass the next one, with an order of its own that depends only
/// on seed and epoch. So `set_epoch(e, b)` continues where an earlier run stopped. Errors of the dataset or the
/// transform are thrown as they are, by the step that would give the batch they belong to; that ends the pass. If
/// begin() throws, the next pass is the same epoch again. Leaving a pass early is safe at any point; a pass may outlive
/// its loader. A loader belongs to one thread. In a forked process a pass with prefetch that began before goes no
/// further: the thread is the parent's. Loaders and passes that were moved from throw Error.
class DYGRAD_API DataLoader {
 public:
  class Pass;

  /// Throws InvalidArgument for a null dataset, a batch size below 1 or a negative prefetch.
  DataLoader(std::shared_ptr<const Dataset> dataset, DataLoaderOptions options = {});

  /// Batches of one whole pass. Throws InvalidArgument if the dataset's size is negative.
  std::int64_t num_batches() const;
  /// Samples of one whole pass; throws as num_batches.
  std::int64_t num_samples() const;
  /// Of the next pass.
  std::int64_t epoch() const { return epoch_; }
  /// The next pass is `epoch` and leaves out its first batches. Throws InvalidArgument if a number is negative, or
  /// `epoch` is the last of its type, after which there would be no next one.
  void set_epoch(std::int64_t epoch, std::int64_t first_batch = 0);

  /// One pass; moved, not copied. Advancing throws what the dataset threw.
  class DYGRAD_API Iterator {
   public:
    using value_type = Sample;
    using difference_type = std::ptrdiff_t;
    Iterator(Iterator&&) noexcept;
    Iterator& operator=(Iterator&&) noexcept;
    ~Iterator();
    const Sample& operator*() const;
    const Sample* operator->() const { return &**this; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const;

   private:
    friend class DataLoader;
    explicit Iterator(std::shared_ptr<Pass> pass);
    Pass& pass() const;
    std::shared_ptr<Pass> pass_;  // the only owner
  };
  /// Begins the next pass. Throws InvalidArgument if the dataset's size is negative or epochs are used up, Error if the
  /// system gives no background thread, OutOfMemory, and what dataset and transform throw for the first batch.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

 private:
  const Dataset& dataset() const;
  std::shared_ptr<const Dataset> dataset_;
  DataLoaderOptions options_;
  std::int64_t epoch_ = 0;
  std::int64_t first_batch_ = 0;
};

}  // namespace dygrad
