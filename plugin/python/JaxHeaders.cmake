# SPDX-License-Identifier: Apache-2.0
# Finds the headers of XLA's FFI for the plugin for JAX, and sets SIGNCCL_XLA_FFI_INCLUDE_DIR unless the user has. They are those
# of jaxlib in the environment of the build. A plugin that is compiled with newer headers than 0.1 would be refused by
# older versions of jaxlib, so it is built without unless the user asks for it.
option(SIGNCCL_JAX "Build the plugin for JAX where the headers of jaxlib are found" ON)
set(SIGNCCL_XLA_FFI_INCLUDE_DIR "" CACHE PATH "Folder with xla/ffi/api/ffi.h, as jaxlib has it in include/: builds the plugin for JAX")

set(signccl_without "built WITHOUT the plugin for JAX, so that signccl.jax cannot be imported")
if(NOT SIGNCCL_JAX)
  message(STATUS "signccl: ${signccl_without}: SIGNCCL_JAX is off")
elseif(NOT SIGNCCL_XLA_FFI_INCLUDE_DIR)
  find_package(Python COMPONENTS Interpreter)
  set(signccl_find "import importlib.util as u\ns = u.find_spec('jaxlib')\nprint(list(s.submodule_search_locations)[0] if s else '')")
  if(Python_FOUND)
    execute_process(COMMAND ${Python_EXECUTABLE} -c ${signccl_find} OUTPUT_VARIABLE signccl_jaxlib
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  set(signccl_c_api ${signccl_jaxlib}/include/xla/ffi/api/c_api.h)
  if(NOT signccl_jaxlib OR NOT EXISTS ${signccl_c_api})
    message(WARNING "signccl: ${signccl_without}: there is no jaxlib here. Build under Python 3.10 to 3.13 without "
      "--no-build-isolation, or install jaxlib==0.6.2 first, or set SIGNCCL_XLA_FFI_INCLUDE_DIR")
  else()
    file(STRINGS ${signccl_c_api} signccl_minor REGEX "^#define XLA_FFI_API_MINOR ")
    string(REGEX REPLACE "[^0-9]" "" signccl_minor "${signccl_minor}")
    if(signccl_minor GREATER 1)
      message(WARNING "signccl: ${signccl_without}: the headers in ${signccl_jaxlib}/include have version 0.${signccl_minor}, expected "
        "0.1 of jaxlib 0.6.2. Set SIGNCCL_XLA_FFI_INCLUDE_DIR to that folder for a plugin that serves this jaxlib and newer ones")
    else()
      set(SIGNCCL_XLA_FFI_INCLUDE_DIR ${signccl_jaxlib}/include)
      message(STATUS "signccl: with the plugin for JAX, by the headers in ${SIGNCCL_XLA_FFI_INCLUDE_DIR}")
    endif()
  endif()
endif()
