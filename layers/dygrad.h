// All of dygrad in one include: tensors, derivatives, layers, optimizers. For users; the library itself includes less.
#pragma once

#include <dygrad/core/backend.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/print.h>
#include <dygrad/core/random.h>
#include <dygrad/core/shape.h>
#include <dygrad/core/tensor.h>
