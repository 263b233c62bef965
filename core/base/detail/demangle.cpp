#include <dygrad/core/base/detail/demangle.h>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace dygrad {

std::string detail::demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                        std::free);
  return status == 0 ? readable.get() : name;
}

}  // namespace dygrad
