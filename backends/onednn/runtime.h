// What every primitive of oneDNN needs: the engine, this thread's stream, scratch memory, and errors as ours.
#pragma once

#include <string>
#include <string_view>

#include <dygrad/backends/onednn/compat.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::onednn {

/// Once, before anything else of oneDNN: what DYGRAD_INSTRUCTION_SET forbids is forbidden to it as well.
void limit_instruction_set();

/// False when the program ends: see Note [Static destruction of dependencies] in core/base/detail/per_thread.h.
bool is_usable();
/// The processor; one per process.
const dnnl::engine& engine();
/// Where this thread's primitives run.
dnnl::stream& stream();
/// Attributes that let the caller provide scratch memory, so that dygrad's allocator counts every byte.
const dnnl::primitive_attr& attributes();

/// A tensor's memory, from its first element, under the given descriptor.
dnnl::memory memory_of(const Tensor& tensor, const dnnl::memory::desc& layout);
/// Uninitialised memory from dygrad's allocator, alive as long as the tensor.
Tensor buffer(std::size_t num_bytes);

/// Throws OutOfMemory if the process cannot get so many bytes now. The library's own allocations are small, but it
/// writes through null where one fails.
void require_memory(std::string_view op, std::size_t num_bytes);

/// "oneDNN 2.6.3, AVX-512, 2 threads".
std::string description();

/// In a handler: throws what oneDNN threw as a BackendError that names op and problem, or as OutOfMemory; our own
/// errors as they are.
[[noreturn]] void fail(std::string_view op, const std::string& problem);

}  // namespace dygrad::onednn
