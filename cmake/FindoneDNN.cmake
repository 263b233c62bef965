# Finds oneDNN and defines oneDNN::oneDNN. Its own package file is passed over on purpose: it asks for the headers of
# OpenCL, which distributions do not bring along, and accepts one major version only.
find_path(ONEDNN_INCLUDE_DIR dnnl.hpp PATH_SUFFIXES oneapi/dnnl)
find_library(ONEDNN_LIBRARY dnnl)

if(ONEDNN_INCLUDE_DIR)
  find_file(ONEDNN_VERSION_HEADER oneapi/dnnl/dnnl_version.h dnnl_version.h HINTS ${ONEDNN_INCLUDE_DIR} NO_CACHE)
  if(ONEDNN_VERSION_HEADER)
    file(STRINGS ${ONEDNN_VERSION_HEADER} lines REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    list(TRANSFORM lines REPLACE "[^0-9]+" "")
    list(JOIN lines "." oneDNN_VERSION)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN REQUIRED_VARS ONEDNN_LIBRARY ONEDNN_INCLUDE_DIR VERSION_VAR oneDNN_VERSION)
mark_as_advanced(ONEDNN_LIBRARY ONEDNN_INCLUDE_DIR)

if(oneDNN_FOUND AND NOT TARGET oneDNN::oneDNN)
  add_library(oneDNN::oneDNN UNKNOWN IMPORTED)
  set_target_properties(oneDNN::oneDNN PROPERTIES IMPORTED_LOCATION ${ONEDNN_LIBRARY}
                                                  INTERFACE_INCLUDE_DIRECTORIES ${ONEDNN_INCLUDE_DIR})
endif()
