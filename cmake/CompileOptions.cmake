# SPDX-License-Identifier: Apache-2.0
# Warnings and sanitizers, as one interface target that every target of the project links privately.
add_library(signccl_options INTERFACE)
target_compile_options(signccl_options INTERFACE -Wall -Wextra -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wconversion -Wnon-virtual-dtor -Woverloaded-virtual>)
# GCC 12 takes std::string's operator+ for overlapping copies when it inlines it (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(signccl_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# Clang warns where it does not unroll a loop as it was asked to, which at -O1 it does nowhere.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(signccl_options INTERFACE -Wno-pass-failed)
endif()
if(SIGNCCL_WERROR)
  target_compile_options(signccl_options INTERFACE -Werror)
endif()
if(SIGNCCL_SANITIZE)
  set(flags -fsanitize=${SIGNCCL_SANITIZE} -fno-omit-frame-pointer)
  if(SIGNCCL_SANITIZE MATCHES "undefined")
    list(APPEND flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(signccl_options INTERFACE ${flags})
  target_link_options(signccl_options INTERFACE ${flags})
endif()
# For calls through declarations of our own of functions that a fake declares by others, as it is between us and NCCL.
# Linked after signccl_options, since the last flag about a check decides.
add_library(signccl_foreign_declarations INTERFACE)
if(SIGNCCL_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(signccl_foreign_declarations INTERFACE -fno-sanitize=function)
endif()
# For programs that spend their time in the library. With AddressSanitizer a compiler takes twice as long to optimise.
set(SIGNCCL_LIGHT_OPTIMIZATION "")
if(SIGNCCL_SANITIZE MATCHES "address")
  set(SIGNCCL_LIGHT_OPTIMIZATION -O0)
endif()
# Source-based coverage of the library alone: kernels/ and src/ compile with these, the programs link the runtime. Where
# the profiles go is compiled in, so that a program that is run by hand leaves none in the sources.
set(SIGNCCL_COVERAGE_FLAGS "")
if(SIGNCCL_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "SIGNCCL_COVERAGE needs Clang; the compiler is ${CMAKE_CXX_COMPILER_ID}")
  endif()
  set(SIGNCCL_COVERAGE_FLAGS -fprofile-instr-generate=${PROJECT_BINARY_DIR}/profiles/%4m.profraw -fcoverage-mapping)
  target_link_options(signccl_options INTERFACE -fprofile-instr-generate)
endif()
