# SPDX-License-Identifier: Apache-2.0
# Finds nvcc, which alone compiles the kernels for GPUs, and decides what it is called with. Sets SIGNCCL_HAS_CUDA, and
# with it
#   SIGNCCL_NVCC                 the compiler
#   SIGNCCL_CUDA_ARCHITECTURES   compute capabilities, as in 75;80
#   SIGNCCL_NVCC_OPTIONS         options for one image with code for all of them, and with PTX for what comes later
#
# CUDA is no language of this project: no host code is compiled by nvcc and nothing links cudart, so kernels are data
# that a custom command makes (kernels/cuda/CMakeLists.txt). Options of your own for nvcc: the variable
# NVCC_APPEND_FLAGS, which nvcc itself reads.
set(SIGNCCL_CUDA AUTO CACHE STRING "Build the kernels for NVIDIA GPUs, which takes nvcc: AUTO, ON or OFF")
set_property(CACHE SIGNCCL_CUDA PROPERTY STRINGS AUTO ON OFF)
set(folders /usr/local/cuda/bin)
foreach(name CUDA_HOME CUDA_PATH)
  if(DEFINED ENV{${name}})
    list(APPEND folders $ENV{${name}}/bin)
  endif()
endforeach()
set(SIGNCCL_CUDA_FOLDERS ${folders} CACHE STRING "Where nvcc is looked for, after PATH")
mark_as_advanced(SIGNCCL_CUDA_FOLDERS)
# One for each major version: code for 8.0 runs on 8.6 and 8.9 too.
set(wanted_architectures 75 80 90 100 120)

# signccl_without_cuda(<why>): an error if the user wants CUDA, else a line that says so.
macro(signccl_without_cuda why)
  if(SIGNCCL_CUDA STREQUAL "AUTO")
    message(STATUS "SignCCL: no kernels for NVIDIA GPUs: ${why}")
  else()
    message(FATAL_ERROR "SIGNCCL_CUDA is ${SIGNCCL_CUDA}, but ${why}")
  endif()
endmacro()

# signccl_ask_nvcc(<variable> <argument>...): what nvcc prints, or "" if it fails.
function(signccl_ask_nvcc variable)
  execute_process(COMMAND ${SIGNCCL_NVCC} ${ARGN} OUTPUT_VARIABLE output ERROR_QUIET RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    set(output "")
  endif()
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()

# Sets SIGNCCL_CUDA_ARCHITECTURES: those wanted that this nvcc knows.
function(signccl_choose_architectures)
  signccl_ask_nvcc(known --list-gpu-code)
  string(REGEX MATCHALL "sm_[0-9]+" known "${known}")
  set(chosen "")
  foreach(architecture IN LISTS wanted_architectures)
    if(sm_${architecture} IN_LIST known)
      list(APPEND chosen ${architecture})
    endif()
  endforeach()
  set(SIGNCCL_CUDA_ARCHITECTURES ${chosen} PARENT_SCOPE)
endfunction()

# Sets SIGNCCL_NVCC_OPTIONS. The code of 8.0 and newer comes from the PTX of the lowest of them, which takes half the time
# of compiling for each and gives the same code (docs/cuda.md); below it there is no instruction that rounds to bfloat16.
function(signccl_choose_nvcc_options)
  set(options -std=c++17 -Werror all-warnings --threads 2)
  set(codes ${SIGNCCL_CUDA_ARCHITECTURES})
  if(codes MATCHES "^75;")
    list(REMOVE_AT codes 0)
    list(APPEND options -gencode arch=compute_75,code=sm_75)
  endif()
  list(GET codes 0 lowest)
  list(TRANSFORM codes PREPEND sm_)
  list(JOIN codes "," codes)
  list(APPEND options -gencode "arch=compute_${lowest},code=[${codes},compute_${lowest}]")
  # nvcc preprocesses with the host's compiler, and knows some Clang versions only.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND options -ccbin ${CMAKE_CXX_COMPILER})
  endif()
  signccl_ask_nvcc(help --help)
  if(help MATCHES "--compress-mode")
    list(APPEND options --compress-mode=size)
  endif()
  set(SIGNCCL_NVCC_OPTIONS ${options} PARENT_SCOPE)
endfunction()

# Sets <variable> to what nvcc says against compiling an empty kernel, "" if nothing. A toolkit can lack parts, have
# parts that do not belong together, or refuse the host's compiler.
function(signccl_try_nvcc variable)
  set(folder ${PROJECT_BINARY_DIR}/CMakeFiles/signccl_nvcc)
  file(WRITE ${folder}/empty.cu "extern \"C\" __global__ void empty() {}\n")
  execute_process(COMMAND ${SIGNCCL_NVCC} ${SIGNCCL_NVCC_OPTIONS} --fatbin -o ${folder}/empty.fatbin ${folder}/empty.cu
    OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(said "")
  elseif(said STREQUAL "")
    set(said "status ${status}")
  endif()
  string(STRIP "${said}" said)
  set(${variable} "${said}" PARENT_SCOPE)
endfunction()

set(SIGNCCL_HAS_CUDA FALSE)
if(SIGNCCL_CUDA)
  find_program(SIGNCCL_NVCC nvcc PATHS ENV PATH PATHS ${SIGNCCL_CUDA_FOLDERS} NO_DEFAULT_PATH
    DOC "The compiler of CUDA")
  if(SIGNCCL_NVCC)
    signccl_ask_nvcc(version --version)
    string(REGEX MATCH "V([0-9.]+)" matched "${version}")
    set(version "${CMAKE_MATCH_1}")
    signccl_choose_architectures()
  endif()
  if(NOT SIGNCCL_NVCC)
    list(JOIN SIGNCCL_CUDA_FOLDERS " or " searched)
    signccl_without_cuda("there is no nvcc in PATH or ${searched}, and SIGNCCL_NVCC names none")
  elseif(NOT version)
    signccl_without_cuda("${SIGNCCL_NVCC} does not say its version, as nvcc does")
  elseif(NOT SIGNCCL_CUDA_ARCHITECTURES)
    signccl_without_cuda("nvcc ${version} (${SIGNCCL_NVCC}) knows none of the architectures ${wanted_architectures}")
  else()
    signccl_choose_nvcc_options()
    signccl_try_nvcc(said)
    if(said STREQUAL "")
      set(SIGNCCL_HAS_CUDA TRUE)
      list(JOIN SIGNCCL_CUDA_ARCHITECTURES ", sm_" architectures)
      message(STATUS "SignCCL: kernels for NVIDIA GPUs, sm_${architectures}, by nvcc ${version}")
    else()
      signccl_without_cuda("nvcc ${version} (${SIGNCCL_NVCC}) does not compile an empty kernel: ${said}")
    endif()
  endif()
endif()
