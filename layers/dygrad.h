// All of dygrad in one include: tensors, derivatives, layers, optimizers. For users; the library itself includes less.
#pragma once

#if __cplusplus < 202002L
#error "dygrad needs C++20: compile with -std=c++20"
#endif

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/debug/graph.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/autograd/live_graphs.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/device.h>
#include <dygrad/core/base/dtype.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/base/shape.h>
#include <dygrad/core/base/verbose.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/data/data_loader.h>
#include <dygrad/core/data/dataset.h>
#include <dygrad/core/data/idx.h>
#include <dygrad/core/dispatch/autotune.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/dispatch/execution.h>
#include <dygrad/core/io/npy.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/tensor.h>
#include <dygrad/layers/activation.h>
#include <dygrad/layers/base/parameter_list.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/checkpoint.h>
#include <dygrad/layers/containers/layer_list.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/conv2d_transpose.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/flatten.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/bilinear.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/init/fan.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/reduce_lr_on_plateau.h>
#include <dygrad/layers/optim/schedules.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/layers/pool2d.h>
#include <dygrad/layers/prelu.h>
