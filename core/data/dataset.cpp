#include <dygrad/core/data/dataset.h>

#include <cstring>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

void check_index(std::int64_t index, std::int64_t size) {
  if (index < 0 || index >= size) {
    throw InvalidArgument(Message("dataset", "no such sample.")
                              .expected("an index in [0, {})", size)
                              .got("{}", index)
                              .fix("ask for an index below size()"));
  }
}

Tensor empty_batch(const Tensor& item, std::size_t count) {
  Shape shape = item.shape();
  shape.insert(0, static_cast<std::int64_t>(count));
  return Tensor::empty(shape, item.dtype());
}

void check_like_first(const Sample& sample, const Sample& first, std::int64_t index) {
  const auto message = [&](std::string_view problem) { return Message("dataset", problem).line("sample {}", index); };
  if (sample.size() != first.size()) {
    throw ShapeError(message("samples have different numbers of tensors.")
                         .expected("{}", first.size())
                         .got("{}", sample.size())
                         .fix("let every sample have the same parts"));
  }
  for (std::size_t k = 0; k < sample.size(); ++k) {
    if (!sample[k].defined()) {
      throw InvalidArgument(message("a sample has an undefined tensor.")
                                .expected("{} tensors with values", sample.size())
                                .got("none at position {}", k)
                                .fix("give every tensor that get() returns a value"));
    }
    if (sample[k].shape() != first[k].shape()) {
      throw ShapeError(message("samples have different shapes.")
                           .expected("{}", first[k].shape())
                           .got("{}", sample[k].shape())
                           .fix("bring samples to one shape in the dataset: a transform sees batches only"));
    }
    if (sample[k].dtype() != first[k].dtype()) {
      throw DtypeError(message("samples have different dtypes.")
                           .expected("{}", first[k].dtype())
                           .got("{}", sample[k].dtype())
                           .fix("convert samples to one dtype in the dataset: a transform sees batches only"));
    }
  }
}

/// Rows of a dense tensor, each in one copy.
Tensor gather_rows(const Tensor& x, std::span<const std::int64_t> indices) {
  Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(indices.size());
  const Tensor result = Tensor::empty(shape, x.dtype());
  const std::size_t row_bytes = indices.empty() ? 0 : static_cast<std::size_t>(result.num_bytes()) / indices.size();
  if (row_bytes == 0) return result;
  const std::byte* from = x.impl()->storage->data() + static_cast<std::size_t>(x.impl()->offset) * size_of(x.dtype());
  std::byte* to = result.impl()->storage->data();
  for (std::int64_t index : indices) {
    std::memcpy(to, from + static_cast<std::size_t>(index) * row_bytes, row_bytes);
    to += row_bytes;
  }
  return result;
}

Sample stacked(const Dataset& dataset, std::span<const std::int64_t> indices) {
  Sample first;
  Sample result;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const Sample sample = detail::call_user([&] { return dataset.get(indices[i]); });
    if (i == 0) first = sample;
    check_like_first(sample, first, indices[i]);
    if (i == 0) {
      for (const Tensor& item : first) result.push_back(empty_batch(item, indices.size()));
    }
    for (std::size_t k = 0; k < sample.size(); ++k)
      kernel::copy(sample[k], view::select(result[k], 0, static_cast<std::int64_t>(i)));
  }
  return result;
}

}  // namespace

Sample Dataset::batch(std::span<const std::int64_t> indices) const {
  return detail::with_out_of_memory("dataset", [&] { return stacked(*this, indices); });
}

TensorDataset::TensorDataset(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty())
    throw InvalidArgument(
        Message("TensorDataset", "needs at least one tensor.").fix("pass the tensors whose rows are the samples"));
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& tensor = tensors_[i];
    if (!tensor.defined())
      throw InvalidArgument(
          Message("TensorDataset", "tensor {} is undefined.", i).fix("give it a value first, or leave it out"));
    if (tensor.rank() == 0)
      throw ShapeError(Message("TensorDataset", "a tensor of rank 0 has no rows.")
                           .expected("shape [N, ...]")
                           .got("[]")
                           .fix("add a dimension first: x.unsqueeze(0)"));
    if (tensor.dim(0) != tensors_.front().dim(0)) {
      throw ShapeError(Message("TensorDataset", "tensors have different numbers of rows.")
                           .expected("{} rows, as in the first tensor", tensors_.front().dim(0))
                           .got("shape {}", tensor.shape())
                           .fix("pass tensors with one row per sample"));
    }
    if (!tensor.is_contiguous()) tensor = kernel::clone(tensor, MemoryFormat::row_major);
  }
  size_ = tensors_.front().dim(0);
}

Sample TensorDataset::get(std::int64_t index) const {
  check_index(index, size_);
  return detail::with_out_of_memory("dataset", [&] {
    Sample sample;
    for (const Tensor& tensor : tensors_) sample.push_back(view::select(tensor, 0, index));
    return sample;
  });
}

Sample TensorDataset::batch(std::span<const std::int64_t> indices) const {
  for (std::int64_t index : indices) check_index(index, size_);
  return detail::with_out_of_memory("dataset", [&] {
    Sample result;
    for (const Tensor& tensor : tensors_) result.push_back(gather_rows(tensor, indices));
    return result;
  });
}

}  // namespace dygrad
