# What makes a fault in our code harder to use for an attack; SECURITY.md says what is promised. Sanitizers find more.
set(DYGRAD_HARDENED ON)
if(DYGRAD_SANITIZE OR APPLE)
  set(DYGRAD_HARDENED OFF)
  function(dygrad_guard_stack)
  endfunction()
  return()
endif()

# All addresses of functions are looked up at the start and then only read; no stack is executable.
target_link_options(dygrad_flags INTERFACE LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)

# dygrad_guard_stack(SOURCE...): guards every function of these files that has an array or an address on the stack. For
# files that take bytes from outside; elsewhere the guards would be felt in an op, which takes some fifty nanoseconds.
# clang wants precompiled headers of the same kind.
function(dygrad_guard_stack)
  foreach(source ${ARGN})
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -fstack-protector-strong)
    set_property(SOURCE ${source} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
  endforeach()
endfunction()

# Copies into memory of known size are checked against it, unless somebody has chosen otherwise.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE} -O2")
check_cxx_source_compiles("#ifdef _FORTIFY_SOURCE\n#error\n#endif\nint main() {}" DYGRAD_FORTIFY_IS_FREE)
unset(CMAKE_REQUIRED_FLAGS)
if(DYGRAD_FORTIFY_IS_FREE)
  set(DYGRAD_FORTIFY $<$<CONFIG:Release,MinSizeRel>:_FORTIFY_SOURCE=2>)
endif()
