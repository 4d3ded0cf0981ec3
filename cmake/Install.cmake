# SPDX-License-Identifier: Apache-2.0
# What a user of the installed library gets: the header, the shared library, what it loads, and the ways to find them.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/signccl)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS signccl EXPORT signccl-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET signccl_cuda)
  install(TARGETS signccl_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(FILES include/signccl/collectives.h include/signccl/comm.h include/signccl/lion.h include/signccl/signccl.h
  include/signccl/signccl.hpp include/signccl/types.h
  ${PROJECT_BINARY_DIR}/include/signccl/version.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/signccl)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT signccl-targets NAMESPACE signccl:: DESTINATION ${package_dir})
configure_package_config_file(cmake/signccl-config.cmake.in ${PROJECT_BINARY_DIR}/signccl-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# As the SONAME: a new major version breaks, and while that is 0, a new minor version.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/signccl-config-version.cmake COMPATIBILITY ${compatibility})
install(FILES ${PROJECT_BINARY_DIR}/signccl-config.cmake ${PROJECT_BINARY_DIR}/signccl-config-version.cmake
  DESTINATION ${package_dir})

# The paths in the pkg-config file start at the file itself, so that the installed tree can be moved.
file(RELATIVE_PATH prefix_from_pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/signccl.pc.in ${PROJECT_BINARY_DIR}/signccl.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/signccl.pc DESTINATION ${pkgconfig_dir})
