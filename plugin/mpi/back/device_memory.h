// SPDX-License-Identifier: Apache-2.0
// Buffers that the host cannot read.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_DEVICE_MEMORY_H_
#define SIGNCCL_PLUGIN_MPI_BACK_DEVICE_MEMORY_H_

namespace signccl::mpi {

/// Whether CUDA knows the address as memory of a device, managed memory included: an MPI that is aware of CUDA takes
/// such buffers. False if the process has not loaded CUDA's driver. Any thread.
bool isDeviceMemory(const void* address);

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_DEVICE_MEMORY_H_
