# SPDX-License-Identifier: Apache-2.0
# Finds Open MPI and MPICH, both where both are here, by their compiler wrappers. Sets
#   SIGNCCL_MPIS               openmpi and mpich, as far as they are here
#   SIGNCCL_MPI_INCLUDES_<mpi> the folders of its headers
#   SIGNCCL_MPICC_<mpi>        its compiler wrapper
# find_package(MPI) finds one MPI alone.

# Sets <variable> to the folders that <compiler> adds for headers.
function(signccl_mpi_includes compiler variable)
  execute_process(COMMAND ${compiler} -show OUTPUT_VARIABLE line ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  separate_arguments(words UNIX_COMMAND "${line}")
  list(FILTER words INCLUDE REGEX "^-I.+")
  list(TRANSFORM words REPLACE "^-I" "")
  set(${variable} ${words} PARENT_SCOPE)
endfunction()

# signccl_find_mpi(<mpi> <name> <pattern of its mpi.h> <Debian package>)
macro(signccl_find_mpi mpi name pattern package)
  find_program(SIGNCCL_MPICC_${mpi} NAMES mpicc.${mpi} mpicc DOC "The compiler wrapper of ${name}")
  set(SIGNCCL_MPI_INCLUDES_${mpi} "")
  set(header "")
  if(SIGNCCL_MPICC_${mpi})
    signccl_mpi_includes(${SIGNCCL_MPICC_${mpi}} SIGNCCL_MPI_INCLUDES_${mpi})
    find_file(SIGNCCL_MPI_HEADER_${mpi} mpi.h PATHS ${SIGNCCL_MPI_INCLUDES_${mpi}} NO_DEFAULT_PATH)
    mark_as_advanced(SIGNCCL_MPI_HEADER_${mpi})
    if(SIGNCCL_MPI_HEADER_${mpi})
      file(STRINGS ${SIGNCCL_MPI_HEADER_${mpi}} header REGEX "${pattern}" LIMIT_COUNT 1)
    endif()
  endif()
  if(header)
    list(APPEND found ${mpi})
    message(STATUS "SignCCL: programs of ${name} can be preloaded with libsignccl_mpi.so (${SIGNCCL_MPICC_${mpi}})")
  else()
    message(STATUS "SignCCL: no ${name} (Debian package ${package}), libsignccl_mpi.so forwards all of its calls")
    # Looked for again next time: mpicc may be that of another MPI.
    unset(SIGNCCL_MPICC_${mpi} CACHE)
    unset(SIGNCCL_MPI_HEADER_${mpi} CACHE)
  endif()
endmacro()

set(found "")
signccl_find_mpi(openmpi "Open MPI" "define OPEN_MPI " libopenmpi-dev)
signccl_find_mpi(mpich "MPICH" "define MPICH_VERSION " libmpich-dev)
# Known to tests/mpi, too.
set(SIGNCCL_MPIS ${found} CACHE INTERNAL "The MPIs that libsignccl_mpi.so has a back for")
