// The one place where oneDNN 2 and 3 differ for us: version 3 dropped the operation descriptor.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace dygrad::onednn {

/// Primitive::primitive_desc of the operation that `operation...` spells out, in the order both versions share.
template <class Primitive, class... Operation>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            const Operation&... operation) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, operation..., attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(operation...), attributes, engine);
#endif
}

/// As describe, for gradients, which ask for the descriptor of the forward primitive.
template <class Primitive, class Forward, class... Operation>
typename Primitive::primitive_desc describe_gradient(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                     const Forward& forward, const Operation&... operation) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, operation..., forward, attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(operation...), attributes, engine, forward);
#endif
}

}  // namespace dygrad::onednn
