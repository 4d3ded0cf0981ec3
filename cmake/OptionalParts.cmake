# What the machine has beside the compiler. Missing parts are left out, and said once.
include(CheckLanguage)

set(SIGNCCL_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO, ON or OFF")
set(SIGNCCL_UCX AUTO CACHE STRING "Build the UCX transport: AUTO, ON or OFF")
set_property(CACHE SIGNCCL_CUDA SIGNCCL_UCX PROPERTY STRINGS AUTO ON OFF)

find_package(Threads REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(spdlog 1.9 REQUIRED)
find_path(SIGNCCL_ASIO_INCLUDE_DIR asio.hpp REQUIRED)

# ucx-config.cmake of UCX before 1.16 breaks when it is read twice, so pkg-config finds it.
set(SIGNCCL_HAS_UCX FALSE)
if(SIGNCCL_UCX)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(ucx QUIET IMPORTED_TARGET ucx>=1.13)
  endif()
  if(ucx_FOUND)
    set(SIGNCCL_HAS_UCX TRUE)
    message(STATUS "SignCCL: UCX ${ucx_VERSION}, ranks may be processes and hosts")
  elseif(SIGNCCL_UCX STREQUAL "AUTO")
    message(STATUS "SignCCL: no UCX (Debian package libucx-dev), ranks are threads of one process only")
  else()
    message(FATAL_ERROR "SIGNCCL_UCX is ${SIGNCCL_UCX}, but pkg-config finds no ucx 1.13 or newer")
  endif()
endif()
