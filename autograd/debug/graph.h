// Pictures of the recorded graph.
#pragma once

#include <string>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// One line per node, newest first: its number, op, output shape, and the numbers of its inputs.
DYGRAD_API std::string graph_text(const Tensor& root);
/// The graph in Graphviz's DOT language; leaves are boxes. Render with `dot -Tsvg`.
DYGRAD_API std::string graph_dot(const Tensor& root);

}  // namespace dygrad
