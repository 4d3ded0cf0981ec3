// SPDX-License-Identifier: Apache-2.0
// What the environment of the user asks of UCX.
#ifndef SIGNCCL_TRANSPORT_UCX_UCX_ENVIRONMENT_H_
#define SIGNCCL_TRANSPORT_UCX_UCX_ENVIRONMENT_H_

#include <string>

namespace signccl {

/// Whether UCX_TLS leaves UCX a transport over shared memory, or over TCP. No other thread may change the environment
/// meanwhile, here and below.
bool ucxMayUseSharedMemory();
bool ucxMayUseTcp();

/// For the end of an error of UCX, which does not say what it comes from: " (the environment has UCX_TLS=rc)", with all
/// variables of UCX; empty if there are none.
std::string ucxVariablesOfUser();

/// The same for what UCX could not allocate in shared memory: how much of /dev/shm is free and what to do, where that
/// is less than a rank takes, or where all of it may be too little for a host's ranks: those that failed at the same
/// time may have freed what this one lacked. Containers often have 64 MB. Empty if that is not the cause.
std::string lackOfSharedMemory();

/// The same for a /dev/shm of `total` megabytes, of which `free` are.
std::string lackOfSharedMemory(double free, double total);

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_ENVIRONMENT_H_
