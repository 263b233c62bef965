#include <array>
#include <cmath>
#include <limits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_jacobian.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_kernel.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/reduction.h>

namespace dygrad {

namespace {

constexpr std::string_view kOp = "softmax_with_cross_entropy";
constexpr std::int64_t kIgnored = -1;

/// Class numbers, one per line of the logits along `axis`: the logits' shape with extent 1 there; kIgnored where the
/// line does not count.
struct Labels {
  int axis;
  Tensor classes;
  std::int64_t counted;
};

/// (softmax(x) - one_hot(label)) g, with g per line.
struct CrossEntropyGrad {
  static constexpr std::string_view name = "softmax_with_cross_entropy_grad";
  Labels labels;
  Tensor forward(const Tensor& x, const Tensor& g) const {
    const Tensor result = kernel::empty_like(x, x.dtype());
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* weights = g.data<T>();
      const std::int64_t* classes = labels.classes.data<std::int64_t>();
      const auto one_block = [=](const auto& in, const auto& out, const auto& at, const auto& loop) {
        const kernel::ExpSums<T> exps(in, out);
        std::array<T, kernel::kBlockLines> scale;
        const auto for_each_line = [&](const auto& f) {
          for (std::int64_t j = 0; j < in.lines; ++j) {
            f(static_cast<std::size_t>(j), classes[at[2] + j * loop.inner_stride(2)],
              weights[at[3] + j * loop.inner_stride(3)], out.data + j);
          }
        };
        std::array<T, kernel::kBlockLines> at_label;
        for_each_line([&](std::size_t j, std::int64_t label, T weight, T*) {
          const double share = static_cast<double>(weight) / exps.sum[j];
          scale[j] = static_cast<T>(share);
          if (label == kIgnored) return;
          at_label[j] = static_cast<T>(-share * exps.sum_without(label, out, static_cast<std::int64_t>(j)));
        });
        kernel::map_lines<T>({out.data, out.length, out.lines, out.step}, out, scale.data(),
                             [](T e, T factor) { return e * factor; });
        for_each_line([&](std::size_t j, std::int64_t label, T, T* line) {
          if (label != kIgnored) {
            line[label * out.step] = at_label[j];
          } else {
            for (std::int64_t i = 0; i < out.length; ++i) line[i * out.step] = 0;
          }
        });
      };
      kernel::for_each_block<T>(labels.axis, x, &result, {&labels.classes, &g}, one_block);
    });
    return result;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }
  Grads<2> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    const Tensor counts = labels.classes != kIgnored;
    const auto counted = [&](const Tensor& t) { return where(counts, t, zeros_like(t)); };
    const Tensor s = counted(softmax(saved[0], labels.axis));
    Grads<2> grads;
    if (need[0]) grads[0] = detail::softmax_vjp(h * counted(saved[1]), s, {labels.axis});
    if (need[1]) {  // sum(h (s - one_hot)), the label's element of (sum(s h) - h)
      const Tensor distances = detail::log_softmax_jvp(h, s, {labels.axis});
      grads[1] = -sum(where(one_hot_like(s) != 0, distances, zeros_like(s)), {labels.axis}, true);
    }
    return grads;
  }
  Tensor one_hot_like(const Tensor& s) const {
    const Tensor result = zeros_like(s);
    dispatch_float(s.dtype(), name, [&]<class T>() {
      T* to = result.mutable_data<T>();
      const std::int64_t* classes = labels.classes.data<std::int64_t>();
      const Tensor starts = kernel::first_slice(result, labels.axis);
      const kernel::StridedLoop loop({&starts, &labels.classes});
      const std::int64_t step = result.strides()[labels.axis];
      loop.run([&](const kernel::StridedLoop::Offsets& at, std::int64_t lines) {
        for (std::int64_t j = 0; j < lines; ++j) {
          const std::int64_t label = classes[at[1] + j * loop.inner_stride(1)];
          if (label != kIgnored) to[at[0] + j * loop.inner_stride(0) + label * step] = 1;
        }
      });
    });
    return result;
  }
};

/// logsumexp(x) - x[label] per line; extent 1 at the axis.
struct CrossEntropy {
  static constexpr std::string_view name = kOp;
  Labels labels;
  Tensor forward(const Tensor& x) const {
    Tensor losses = Tensor::empty(labels.classes.shape(), x.dtype());
    if (x.num_elements() == 0) kernel::fill(losses, 0);  // no classes, so that every label is ignored
    dispatch_float(x.dtype(), name, [&]<class T>() {
      T* loss = losses.mutable_data<T>();
      const std::int64_t* classes = labels.classes.data<std::int64_t>();
      const auto one_block = [=](const auto& in, const auto&, const auto& at, const auto& loop) {
        const kernel::ExpSums<T> exps(in, {});
        for (std::int64_t j = 0; j < in.lines; ++j) {
          const auto line = static_cast<std::size_t>(j);
          const std::int64_t label = classes[at[2] + j * loop.inner_stride(2)];
          T& own = loss[at[3] + j * loop.inner_stride(3)];
          own = T{0};
          if (label == kIgnored) continue;
          const T below = kernel::below_largest(in.data[label * in.step + j], exps.largest[line]);
          own = static_cast<T>(exps.log_sum(in, j)) - below;
        }
      };
      kernel::for_each_block<T>(labels.axis, x, nullptr, {&labels.classes, &losses}, one_block);
    });
    return losses;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {apply(CrossEntropyGrad{labels}, saved[0], g)};
  }
};

Message mismatch(std::string_view problem, const Tensor& logits, const Tensor& label, int axis) {
  return Message(kOp, problem)
      .line("logits {} {}, class dimension {}", logits.dtype(), logits.shape(), axis)
      .line("label {} {}", label.dtype(), label.shape());
}

/// Checks labels and brings them into the one form that the ops use.
Labels read_labels(const Tensor& logits, const Tensor& label, int axis, std::optional<std::int64_t> ignore_index) {
  if (label.dtype() != int64) {
    throw DtypeError(mismatch("class labels must be integers.", logits, label, axis)
                         .expected("int64")
                         .got("{}", label.dtype())
                         .fix("convert with to(int64), or set soft_label for distributions"));
  }
  Shape kept = logits.shape();
  kept[axis] = 1;
  Shape without = kept;
  without.erase(axis);
  if (label.shape() != kept && label.shape() != without) {
    throw ShapeError(mismatch("the labels do not fit the logits.", logits, label, axis)
                         .expected("{} or {}", without, kept)
                         .got("{}", label.shape())
                         .fix("give one class index per position of the logits, or set soft_label for distributions"));
  }
  const std::int64_t classes = logits.shape()[axis];
  Labels labels{axis, Tensor::empty(kept, int64), 0};
  const std::vector<std::int64_t> given = label.to_vector<std::int64_t>();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const bool ignored = ignore_index && given[i] == *ignore_index;
    if (!ignored && (given[i] < 0 || given[i] >= classes)) {
      throw InvalidArgument(mismatch("a label is not a class.", logits, label, axis)
                                .expected("labels in [0, {})", classes)
                                .got("{} at position {} in row-major order", given[i], i)
                                .fix("set ignore_index if such labels are to be skipped"));
    }
    labels.classes.mutable_data<std::int64_t>()[i] = ignored ? kIgnored : given[i];
    labels.counted += ignored ? 0 : 1;
  }
  return labels;
}

/// A label times a logarithm of a probability, which may be -infinity where the label is 0: no cost.
struct LabelTimesLog {
  static constexpr std::string_view name = "label_times_log";
  static Tensor forward(const Tensor& label, const Tensor& log) {
    return kernel::map(
        name, []<class T>(T l, T p) { return l == 0 && p == -std::numeric_limits<T>::infinity() ? 0 : l * p; }, label,
        log);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, need[1]) | save_input(1, need[0]); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? g * saved[1] : Tensor(), need[1] ? g * saved[0] : Tensor()};
  }
};

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& label, int axis) {
  if (label.dtype() != logits.dtype()) {
    throw DtypeError(mismatch("soft labels need the dtype of the logits.", logits, label, axis)
                         .expected("{}", logits.dtype())
                         .got("{}", label.dtype())
                         .fix("convert with to(), or leave soft_label off for class numbers"));
  }
  if (label.shape() != logits.shape()) {
    throw ShapeError(mismatch("soft labels need the shape of the logits.", logits, label, axis)
                         .expected("{}", logits.shape())
                         .got("{}", label.shape())
                         .fix("give one probability per class, or leave soft_label off for class indices"));
  }
  return -sum(apply(LabelTimesLog{}, label, log_softmax(logits, axis)), {axis});
}

}  // namespace

Tensor softmax_with_cross_entropy(const Tensor& logits, const Tensor& label, const CrossEntropyOptions& options) {
  detail::check_defined(kOp, "logits", logits);
  detail::check_defined(kOp, "label", label);
  if (!is_floating(logits.dtype())) detail::fail_not_floating(kOp, logits.dtype());
  if (logits.rank() == 0) {
    throw ShapeError(Message(kOp, "the logits have no class dimension.")
                         .expected("rank at least 1")
                         .got("rank 0")
                         .fix("give logits of shape [N, classes]"));
  }
  detail::check_reduction(options.reduction);
  const int axis = normalize_axis(options.axis, logits.rank(), kOp);

  Tensor losses;
  double count = 0;
  if (options.soft_label) {
    losses = soft_cross_entropy(logits, label, axis);
    count = static_cast<double>(losses.num_elements());
  } else {
    const Labels labels = read_labels(logits, label, axis, options.ignore_index);
    losses = apply(CrossEntropy{labels}, logits).squeeze(axis);
    count = static_cast<double>(labels.counted);
  }
  if (options.reduction == Reduction::none) return losses;
  const Tensor total = sum(losses);
  return options.reduction == Reduction::sum ? total : total / count;
}

}  // namespace dygrad
