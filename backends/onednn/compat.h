// The one place where oneDNN 2 and 3 differ for us: version 3 dropped the operation descriptor, and hides what a memory
// descriptor holds behind functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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

/// A layout by strides and blocks, in numbers; blocks from the outermost to the innermost.
struct Blocking {
  std::vector<std::int64_t> dims, padded_dims, strides;
  std::vector<std::int64_t> block_sizes, block_dims;
  std::int64_t first;  ///< offset of the first number
};

/// Nothing for layouts of other kinds.
inline std::optional<Blocking> blocking_of(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked) return std::nullopt;
  return Blocking{desc.get_dims(),       desc.get_padded_dims(), desc.get_strides(),
                  desc.get_inner_blks(), desc.get_inner_idxs(),  desc.get_submemory_offset()};
#else
  const dnnl_memory_desc_t& d = desc.data;
  if (d.format_kind != dnnl_blocked) return std::nullopt;
  const auto& blocking = d.format_desc.blocking;
  const auto list = [](const dnnl_dims_t& values, int count) {
    return std::vector<std::int64_t>(values, values + count);
  };
  return Blocking{list(d.dims, d.ndims),
                  list(d.padded_dims, d.ndims),
                  list(blocking.strides, d.ndims),
                  list(blocking.inner_blks, blocking.inner_nblks),
                  list(blocking.inner_idxs, blocking.inner_nblks),
                  d.offset0};
#endif
}

}  // namespace dygrad::onednn
