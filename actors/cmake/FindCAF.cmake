# Finds the C++ Actor Framework, which Debian ships without a CMake or
# pkg-config file. Sets CAF_VERSION and defines CAF::<component>.
find_path(CAF_INCLUDE_DIR caf/all.hpp)
if(CAF_INCLUDE_DIR AND EXISTS "${CAF_INCLUDE_DIR}/caf/config.hpp")
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" _v
    REGEX "#define CAF_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+" _v "${_v}")
  math(EXPR _maj "${_v} / 10000")
  math(EXPR _min "(${_v} / 100) % 100")
  math(EXPR _pat "${_v} % 100")
  set(CAF_VERSION "${_maj}.${_min}.${_pat}")
endif()
foreach(c ${CAF_FIND_COMPONENTS})
  find_library(CAF_${c}_LIBRARY caf_${c})
  if(CAF_${c}_LIBRARY)
    set(CAF_${c}_FOUND TRUE)
  endif()
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF
  REQUIRED_VARS CAF_INCLUDE_DIR
  VERSION_VAR CAF_VERSION
  HANDLE_COMPONENTS)
if(CAF_FOUND)
  find_package(Threads REQUIRED)
  foreach(c ${CAF_FIND_COMPONENTS})
    if(NOT TARGET CAF::${c})
      add_library(CAF::${c} UNKNOWN IMPORTED)
      set_target_properties(CAF::${c} PROPERTIES
        IMPORTED_LOCATION "${CAF_${c}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES Threads::Threads)
    endif()
  endforeach()
endif()
