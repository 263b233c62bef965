# The components as one library dygrad::dygrad, with its headers, its installation, and the files by which others find it.
include(CMakePackageConfigHelpers)

get_property(components GLOBAL PROPERTY DYGRAD_COMPONENTS)
set(objects ${components})
list(TRANSFORM objects REPLACE "(.+)" "$<TARGET_OBJECTS:dygrad_\\1>")

add_library(dygrad ${objects})
add_library(dygrad::dygrad ALIAS dygrad)
target_compile_features(dygrad PUBLIC cxx_std_20)
target_include_directories(dygrad PUBLIC $<BUILD_INTERFACE:${DYGRAD_BUILD_INCLUDE}>
                                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(dygrad PRIVATE $<BUILD_INTERFACE:dygrad_flags> fmt::fmt ZLIB::ZLIB)
# Said again in cmake/dygradConfig.cmake.in and cmake/dygrad.pc.in, for users of the static library.
if(DYGRAD_OPENMP)
  target_link_libraries(dygrad PRIVATE OpenMP::OpenMP_CXX)
endif()
if(DYGRAD_ONEDNN)
  target_link_libraries(dygrad PRIVATE oneDNN::oneDNN)
endif()
if(DYGRAD_BLAS)
  target_link_libraries(dygrad PRIVATE CBLAS::CBLAS)
endif()
set_target_properties(dygrad PROPERTIES VERSION ${PROJECT_VERSION}
                                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
                                        LINKER_LANGUAGE CXX)
# dygrad_shared_library(TARGET): what the linker makes of our objects, in the library and where tests look at it.
function(dygrad_shared_library target)
  # The path that is installed from the start: CMake would make room for it by empty entries, which stand for the
  # current folder of whoever runs the program.
  set_target_properties(${target} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON BUILD_WITH_INSTALL_RPATH ON)
  if(APPLE)
    return()
  endif()
  # Templates of std, fmt and json instantiated here are not ours to show.
  set(map ${PROJECT_SOURCE_DIR}/cmake/dygrad.map)
  target_link_options(${target} PRIVATE LINKER:--version-script=${map} LINKER:-Bsymbolic-functions)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${map})
endfunction()
if(BUILD_SHARED_LIBS)
  dygrad_shared_library(dygrad)
endif()

if(NOT DYGRAD_INSTALL)
  return()
endif()
install(TARGETS dygrad EXPORT dygradTargets)
install(CODE "set(source_dir [[${PROJECT_SOURCE_DIR}]])\nset(include_dir [[${CMAKE_INSTALL_INCLUDEDIR}]])")
install(SCRIPT ${PROJECT_SOURCE_DIR}/cmake/InstallHeaders.cmake)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dygrad)
install(EXPORT dygradTargets NAMESPACE dygrad:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/dygradConfig.cmake.in ${PROJECT_BINARY_DIR}/dygradConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dygradConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dygradConfig.cmake ${PROJECT_BINARY_DIR}/dygradConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindCBLAS.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindoneDNN.cmake
        DESTINATION ${package_dir})

# pkg-config: what a static link needs besides fmt and zlib, as plain flags.
set(DYGRAD_PC_LIBS "")
if(DYGRAD_ONEDNN)
  string(APPEND DYGRAD_PC_LIBS " -ldnnl")
endif()
if(DYGRAD_BLAS)
  string(APPEND DYGRAD_PC_LIBS " ${CBLAS_LIBRARY}")
endif()
if(DYGRAD_OPENMP)
  string(APPEND DYGRAD_PC_LIBS " ${OpenMP_CXX_FLAGS}")
endif()
file(RELATIVE_PATH DYGRAD_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/dygrad.pc.in ${PROJECT_BINARY_DIR}/dygrad.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/dygrad.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
