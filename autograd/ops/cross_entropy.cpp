#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/loss.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/autograd/ops/softmax.h>
#include <dygrad/autograd/ops/softmax_kernel.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/elementwise.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/core/reduction.h>

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
    Tensor result = raw::empty_like(x, x.dtype());
    const std::int64_t n = x.shape()[labels.axis];
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const auto one_line = [n](raw::Line<T> out, auto in, auto weight, auto label) {
        if (label[0] == kIgnored) {
          for (std::int64_t i = 0; i < n; ++i) out[i] = 0;
          return;
        }
        raw::softmax_line<T>(out, in, n);
        out[label[0]] -= 1;
        for (std::int64_t i = 0; i < n; ++i) out[i] *= weight[0];
      };
      raw::for_each_line<T, const T, const T, const std::int64_t>(labels.axis, one_line, result, x, g, labels.classes);
    });
    return result;
  }
  static Keep keep(Need) { return keep_input(0) | keep_input(1); }
  Grads<2> vjp(const Tensor& h, const Saved& saved, Need need) const {
    const Tensor counts = labels.classes != kIgnored;
    const auto counted = [&](const Tensor& t) { return where(counts, t, zeros_like(t)); };
    const Tensor s = counted(softmax(saved[0], labels.axis));
    Grads<2> grads;
    if (need[0]) {
      const Tensor pull = h * counted(saved[1]);
      grads[0] = s * (pull - sum(s * pull, {labels.axis}, true));
    }
    if (need[1]) grads[1] = sum(h * (s - one_hot_like(s)), {labels.axis}, true);
    return grads;
  }
  Tensor one_hot_like(const Tensor& s) const {
    Tensor result = zeros_like(s);
    dispatch_float(s.dtype(), name, [&]<class T>() {
      const auto one_line = [](raw::Line<T> out, auto label) {
        if (label[0] != kIgnored) out[label[0]] = 1;
      };
      raw::for_each_line<T, const std::int64_t>(labels.axis, one_line, result, labels.classes);
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
    const std::int64_t n = x.shape()[labels.axis];
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const auto one_line = [n](raw::Line<T> loss, auto in, auto label) {
        if (label[0] == kIgnored) {
          loss[0] = 0;
          return;
        }
        const raw::ExpSum<T> exps(in, n);
        loss[0] = exps.largest - in[label[0]] + static_cast<T>(std::log(exps.sum));
      };
      raw::for_each_line<T, const T, const std::int64_t>(labels.axis, one_line, losses, x, labels.classes);
    });
    return losses;
  }
  static Keep keep(Need) { return keep_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, Need) const {
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
                         .got("{}", label.shape()));
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
                         .got("{}", label.shape()));
  }
  return -sum(label * log_softmax(logits, axis), {axis});
}

}  // namespace

Tensor softmax_with_cross_entropy(const Tensor& logits, const Tensor& label, const CrossEntropyOptions& options) {
  if (!is_floating(logits.dtype())) detail::fail_not_floating(kOp, logits.dtype());
  if (logits.rank() == 0) {
    throw ShapeError(Message(kOp, "the logits have no class dimension.").expected("rank at least 1").got("rank 0"));
  }
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
