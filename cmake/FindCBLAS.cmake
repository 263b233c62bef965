# Finds a BLAS with the C interface and defines CBLAS::CBLAS. The OpenMP build of OpenBLAS comes first: it shares its
# threads with our kernels and with oneDNN. Another BLAS is chosen by setting CBLAS_LIBRARY and CBLAS_INCLUDE_DIR.
find_path(CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp openblas-pthread openblas)
find_library(CBLAS_LIBRARY NAMES openblaso openblas libopenblas.so.0 cblas NAMES_PER_DIR
             PATH_SUFFIXES openblas-openmp)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CBLAS REQUIRED_VARS CBLAS_LIBRARY CBLAS_INCLUDE_DIR)
mark_as_advanced(CBLAS_LIBRARY CBLAS_INCLUDE_DIR)

if(CBLAS_FOUND AND NOT TARGET CBLAS::CBLAS)
  add_library(CBLAS::CBLAS UNKNOWN IMPORTED)
  set_target_properties(CBLAS::CBLAS PROPERTIES IMPORTED_LOCATION ${CBLAS_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${CBLAS_INCLUDE_DIR})
endif()
