#include <dygrad/backends/onednn/runtime.h>

#include <dygrad/core/base/detail/can_allocate.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/simd/instruction_set.h>

namespace dygrad::onednn {

namespace {

std::string_view instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "SSE4.1";
    case dnnl::cpu_isa::avx: return "AVX";
    case dnnl::cpu_isa::avx2: return "AVX2";
    case dnnl::cpu_isa::avx2_vnni: return "AVX2 with VNNI";
    case dnnl::cpu_isa::avx512_core: return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni: return "AVX-512 with VNNI";
    case dnnl::cpu_isa::avx512_core_bf16: return "AVX-512 with bfloat16";
    case dnnl::cpu_isa::avx512_core_amx: return "AVX-512 with AMX";
    default: return "another instruction set";
  }
}

dnnl::primitive_attr make_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

[[noreturn]] void fail_with(std::string_view op, const std::string& problem, const std::string& what) {
  throw BackendError(Message(op, "oneDNN failed.")
                         .line("problem {}", problem)
                         .line("oneDNN says: {}", what)
                         .fix("set DYGRAD_BACKEND=gemm to compute without oneDNN"));
}

}  // namespace

void limit_instruction_set() {
  const kernel::InstructionSet set = kernel::instruction_set();
  if (set == kernel::processor_instruction_set()) return;  // its own choice, or that of ONEDNN_MAX_CPU_ISA
  // Refused where the program has used oneDNN already, which then stays with what it chose.
  (void)dnnl::set_max_cpu_isa(set == kernel::InstructionSet::baseline ? dnnl::cpu_isa::sse41 : dnnl::cpu_isa::avx2);
}

bool is_usable() {
  detail::watch_program_end();
  return !detail::program_is_ending();
}

const dnnl::engine& engine() {
  static const dnnl::engine& instance = *new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every static object
  return instance;
}

dnnl::stream& stream() {
  return detail::per_thread([] { return dnnl::stream(engine()); });
}

const dnnl::primitive_attr& attributes() {
  static const dnnl::primitive_attr& instance = *new dnnl::primitive_attr(make_attributes());
  return instance;
}

dnnl::memory memory_of(const Tensor& tensor, const dnnl::memory::desc& layout) {
  void* first = tensor.mutable_data<std::uint8_t>() +
                tensor.impl()->offset * (static_cast<std::int64_t>(size_of(tensor.dtype())) - 1);
  return dnnl::memory(layout, engine(), first);
}

void require_memory(std::string_view op, std::size_t num_bytes) {
  if (!detail::can_allocate(num_bytes)) detail::fail_out_of_memory(op, num_bytes);
}

Tensor buffer(std::size_t num_bytes) { return Tensor::empty({static_cast<std::int64_t>(num_bytes)}, DType::uint8); }

std::string description() {
  const dnnl::version_t& version = *dnnl::version();
  return fmt::format("oneDNN {}.{}.{}, {}, {} threads", version.major, version.minor, version.patch, instruction_set(),
                     num_threads());
}

void fail(std::string_view op, const std::string& problem) {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    detail::fail_out_of_memory(op);
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) detail::fail_out_of_memory(op);
    fail_with(op, problem, fmt::format("{} (status {})", error.message, static_cast<int>(error.status)));
  } catch (const std::exception& error) {  // its cache of primitives waits on futures
    fail_with(op, problem, error.what());
  }
}

}  // namespace dygrad::onednn
