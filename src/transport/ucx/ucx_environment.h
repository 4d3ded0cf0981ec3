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

/// The same for what UCX allocates in shared memory: how much of /dev/shm is free and what to do, where that is less
/// than a rank takes; containers often have 64 MB. Empty if that is not the cause.
std::string lackOfSharedMemory();

}  // namespace signccl

#endif  // SIGNCCL_TRANSPORT_UCX_UCX_ENVIRONMENT_H_
