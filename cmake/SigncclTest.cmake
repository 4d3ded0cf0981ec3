# SPDX-License-Identifier: Apache-2.0
# What the sources of tests are compiled with beside signccl_options. Linked after those, since the last flag about a
# sanitizer's check decides.
add_library(signccl_test_options INTERFACE)
if(SIGNCCL_SANITIZE MATCHES "undefined")
  # GoogleTest's templates take a third longer with these. The code under test keeps them all, and ASan finds what a null
  # pointer does.
  target_compile_options(signccl_test_options INTERFACE
    -fno-sanitize=null,vptr,alignment,object-size,nonnull-attribute,returns-nonnull-attribute)
endif()

# signccl_add_test(NAME <name> SOURCES <file>... [LIBRARIES <target>...] [TIMEOUT <seconds>] [COMPUTES])
#
# Adds a GoogleTest program and registers each of its tests with CTest under <name>. COMPUTES is for programs that spend
# their time in their own loops, such as comparisons of long vectors.
function(signccl_add_test)
  cmake_parse_arguments(arg "COMPUTES" "NAME;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # Most of the time of a build goes into tests, and most of them need little speed.
  set(optimization -O1)
  if(SIGNCCL_LIGHT_OPTIMIZATION AND NOT arg_COMPUTES)
    set(optimization ${SIGNCCL_LIGHT_OPTIMIZATION})
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE
    ${arg_LIBRARIES} GTest::gmock GTest::gtest_main signccl_options signccl_test_options)
  target_compile_options(${arg_NAME} PRIVATE ${optimization})
  # GoogleMock and the standard library are a third of what a test takes to compile: the first program with the same flags
  # precompiles them for all. tools/check reads the sources without, so that each names what it includes.
  get_property(owner GLOBAL PROPERTY signccl_test_headers${optimization})
  if(owner)
    target_precompile_headers(${arg_NAME} REUSE_FROM ${owner})
  else()
    set_property(GLOBAL PROPERTY signccl_test_headers${optimization} ${arg_NAME})
    target_precompile_headers(${arg_NAME} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <algorithm> <chrono> <fstream>
      <functional> <map> <memory> <random> <set> <string> <thread> <vector>)
  endif()
  gtest_discover_tests(${arg_NAME} TEST_PREFIX ${arg_NAME}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${arg_TIMEOUT})
endfunction()
