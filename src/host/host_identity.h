// SPDX-License-Identifier: Apache-2.0
// Which host, machine and process this is, so that ranks can tell who is near.
#ifndef SIGNCCL_HOST_HOST_IDENTITY_H_
#define SIGNCCL_HOST_HOST_IDENTITY_H_

#include <cstdint>
#include <string>

namespace signccl {

/// The same for all processes of one running kernel, also in containers: its boot id, or the host's name where the
/// kernel tells none.
std::string machineIdentity();

/// The same for processes that share memory and devices as one host: the host's name and machineIdentity().
std::string hostIdentity();

/// Drawn once for each process; differs between processes, also after fork(). Throws Error.
std::uint64_t processIdentity();

}  // namespace signccl

#endif  // SIGNCCL_HOST_HOST_IDENTITY_H_
