# SPDX-License-Identifier: Apache-2.0
# What the machine has beside the compiler. Missing parts are left out, and said once.
set(SIGNCCL_UCX AUTO CACHE STRING "Build the UCX transport, which takes the headers of UCX: AUTO, ON or OFF")
set(SIGNCCL_PMIX AUTO CACHE STRING "Let benchmarks and examples meet through PMIx under mpirun and srun: AUTO, ON or OFF")
set_property(CACHE SIGNCCL_UCX SIGNCCL_PMIX PROPERTY STRINGS AUTO ON OFF)

find_package(Threads REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(spdlog 1.9 REQUIRED)
find_path(SIGNCCL_ASIO_INCLUDE_DIR asio.hpp REQUIRED)

# signccl_find_optional(<SUBJECT> <package> <version> <what is so without it>)
#
# Looks for the package as SIGNCCL_<SUBJECT> says (AUTO or ON), and sets SIGNCCL_HAS_<SUBJECT> if it is there. By pkg-config:
# ucx-config.cmake of UCX before 1.16 breaks when it is read twice, and PMIx has none.
macro(signccl_find_optional subject package version without)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(${package} QUIET IMPORTED_TARGET ${package}>=${version})
  endif()
  if(${package}_FOUND)
    set(SIGNCCL_HAS_${subject} TRUE)
  elseif(SIGNCCL_${subject} STREQUAL "AUTO")
    message(STATUS "SignCCL: ${without}")
  else()
    message(FATAL_ERROR "SIGNCCL_${subject} is ${SIGNCCL_${subject}}, but pkg-config finds no ${package} ${version} or newer")
  endif()
endmacro()

set(SIGNCCL_HAS_UCX FALSE)
set(SIGNCCL_UCX_INCLUDE_DIR "" CACHE PATH "Folder with ucp/api/ucp.h, where pkg-config does not know UCX")
if(SIGNCCL_UCX AND SIGNCCL_UCX_INCLUDE_DIR)
  if(NOT EXISTS ${SIGNCCL_UCX_INCLUDE_DIR}/ucp/api/ucp.h)
    message(FATAL_ERROR "SIGNCCL_UCX_INCLUDE_DIR is ${SIGNCCL_UCX_INCLUDE_DIR}, expected a folder with ucp/api/ucp.h")
  endif()
  set(ucx_INCLUDE_DIRS ${SIGNCCL_UCX_INCLUDE_DIR})
  set(SIGNCCL_HAS_UCX TRUE)
  message(STATUS "SignCCL: headers of UCX in ${SIGNCCL_UCX_INCLUDE_DIR}, ranks may be processes and hosts where UCX is found at run time")
elseif(SIGNCCL_UCX)
  signccl_find_optional(UCX ucx 1.13 "no headers of UCX (Debian package libucx-dev), ranks are threads of one process only")
  if(SIGNCCL_HAS_UCX)
    message(STATUS "SignCCL: headers of UCX ${ucx_VERSION}, ranks may be processes and hosts where UCX is found at run time")
  endif()
endif()

set(SIGNCCL_HAS_PMIX FALSE)
if(SIGNCCL_PMIX AND (SIGNCCL_PERF OR SIGNCCL_EXAMPLES))
  signccl_find_optional(PMIX pmix 3
    "no PMIx (Debian package libpmix-dev), programs under mpirun or srun need SIGNCCL_COMM_ID")
endif()

# With headers of an old jaxlib the library loads into that one and all newer ones, and with new headers into new ones only,
# so nothing is looked for: tools/python_test and the wheel name those of the jaxlib that they pin.
set(SIGNCCL_XLA_FFI_INCLUDE_DIR "" CACHE PATH "Folder with xla/ffi/api/ffi.h, as jaxlib has it in include/: builds the plugin for JAX")
if(SIGNCCL_XLA_FFI_INCLUDE_DIR AND NOT EXISTS ${SIGNCCL_XLA_FFI_INCLUDE_DIR}/xla/ffi/api/ffi.h)
  message(FATAL_ERROR "SIGNCCL_XLA_FFI_INCLUDE_DIR is ${SIGNCCL_XLA_FFI_INCLUDE_DIR}, expected a folder with xla/ffi/api/ffi.h")
endif()
