// SPDX-License-Identifier: Apache-2.0
// MPI handles as the front passes them.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_HANDLES_H_
#define SIGNCCL_PLUGIN_MPI_BACK_HANDLES_H_

#include <type_traits>

#include "mpi/border.h"

namespace signccl::mpi {

/// The handle of this MPI: a pointer in Open MPI, an int in MPICH.
template <typename Handle>
Handle handleOf(SigncclMpiHandle value) {
  if constexpr (std::is_pointer_v<Handle>) {
    return reinterpret_cast<Handle>(value);
  } else {
    return static_cast<Handle>(value);
  }
}

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_HANDLES_H_
