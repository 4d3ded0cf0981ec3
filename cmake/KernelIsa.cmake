# SPDX-License-Identifier: Apache-2.0
# signccl_add_kernel_isa(<target> <NAME> <source> [<flag>...])
#
# Adds the instance of the kernels in <source>, which alone is compiled with the flags, and defines SIGNCCL_KERNELS_<NAME>,
# by which kernels/select.cc lists it.
function(signccl_add_kernel_isa target name source)
  target_sources(${target} PRIVATE ${source})
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  target_compile_definitions(${target} PRIVATE SIGNCCL_KERNELS_${name})
endfunction()
