# Flags that all our code shares, and the function that makes one component out of one folder.

add_library(dygrad_flags INTERFACE)
target_compile_features(dygrad_flags INTERFACE cxx_std_20)
target_compile_options(dygrad_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                              -Wnon-virtual-dtor)
# g++ 12 sees overflows inside fmt 9 that are not there; clang reports each loop hint that it does not follow.
target_compile_options(dygrad_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>
                                              $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(dygrad_flags INTERFACE -Wno-restrict)  # g++ 12 sees overlaps in std::string that are not there
endif()
if(DYGRAD_WERROR)
  target_compile_options(dygrad_flags INTERFACE -Werror)
endif()
if(DYGRAD_NATIVE)
  target_compile_options(dygrad_flags INTERFACE -march=native)
endif()
# Sums of products keep their written order and rounding on every machine unless a kernel says otherwise.
# Nobody asks for errno or floating-point exceptions; expecting them would keep conditions out of vector code.
target_compile_options(dygrad_flags INTERFACE -ffp-contract=off -fno-math-errno -fno-trapping-math)
if(DYGRAD_SANITIZE)
  target_compile_options(dygrad_flags INTERFACE -fsanitize=${DYGRAD_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(dygrad_flags INTERFACE -fsanitize=${DYGRAD_SANITIZE})
  # Instrumented code hides from g++ what was initialised.
  target_compile_options(dygrad_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
include(DygradHardening)
if(DYGRAD_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()

# In the build tree <dygrad/...> is a folder of links to the source folders, so that tests, examples and installed
# users write the same include lines.
set(DYGRAD_BUILD_INCLUDE ${PROJECT_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${DYGRAD_BUILD_INCLUDE}/dygrad)
foreach(folder core autograd layers backends tests)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${DYGRAD_BUILD_INCLUDE}/dygrad/${folder} SYMBOLIC)
endforeach()
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/layers/dygrad.h ${DYGRAD_BUILD_INCLUDE}/dygrad/dygrad.h SYMBOLIC)

set_property(GLOBAL PROPERTY DYGRAD_COMPONENTS "")

# dygrad_component(NAME [COMPACT] [SOURCES pattern...] [DEPENDS component...] [LIBRARIES private library...]
#                  [DEFINITIONS private macro...])
# Compiles every .cpp below the current folder, or those that match SOURCES, into the objects dygrad_NAME. DEPENDS are
# the components it may use; vendor LIBRARIES stay private to it. COMPACT: with -O2 in Release, which still turns loops into
# vector code; for what is not made of hand-tuned loops. The headers that all files share are read once, by the first
# component of each kind.
function(dygrad_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "COMPACT" "" "SOURCES;DEPENDS;LIBRARIES;DEFINITIONS")
  if(arg_SOURCES)
    list(TRANSFORM arg_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    file(GLOB sources CONFIGURE_DEPENDS ${arg_SOURCES})
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  if(NOT sources)
    add_library(dygrad_${name} INTERFACE)
    return()
  endif()
  add_library(dygrad_${name} OBJECT ${sources})
  target_include_directories(dygrad_${name} PUBLIC $<BUILD_INTERFACE:${DYGRAD_BUILD_INCLUDE}>)
  target_compile_definitions(dygrad_${name} PRIVATE ${arg_DEFINITIONS} ${DYGRAD_FORTIFY})
  set(level full)
  if(arg_COMPACT)
    set(level compact)
    target_compile_options(dygrad_${name} PRIVATE $<$<CONFIG:Release>:-O2> $<$<CXX_COMPILER_ID:GNU>:-fvect-cost-model=dynamic>)
  endif()
  # Nobody replaces our functions by others of their names, so calls among them need no table.
  target_compile_options(dygrad_${name} PRIVATE -fno-semantic-interposition)
  target_link_libraries(dygrad_${name} PRIVATE dygrad_flags fmt::fmt ${arg_LIBRARIES})
  if(DYGRAD_OPENMP)
    target_link_libraries(dygrad_${name} PRIVATE OpenMP::OpenMP_CXX)
  endif()
  foreach(dependency ${arg_DEPENDS})
    target_link_libraries(dygrad_${name} PRIVATE dygrad_${dependency})
  endforeach()
  # g++ keeps the level of optimisation in what it precompiles.
  get_property(precompiled GLOBAL PROPERTY DYGRAD_PRECOMPILED_${level})
  if(precompiled)
    target_precompile_headers(dygrad_${name} REUSE_FROM ${precompiled})
  else()
    target_precompile_headers(dygrad_${name} PRIVATE <algorithm> <array> <functional> <memory> <span> <string> <vector>
                                                     <fmt/core.h> <dygrad/core/tensor/tensor.h>)
    set_property(GLOBAL PROPERTY DYGRAD_PRECOMPILED_${level} dygrad_${name})
  endif()
  set_target_properties(dygrad_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                                  VISIBILITY_INLINES_HIDDEN ON)
  set_property(GLOBAL APPEND PROPERTY DYGRAD_COMPONENTS ${name})
endfunction()
