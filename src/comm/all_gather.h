// SPDX-License-Identifier: Apache-2.0
// An all-gather of a few bytes over the control plane: see signcclCommAllGather().
#ifndef SIGNCCL_COMM_ALL_GATHER_H_
#define SIGNCCL_COMM_ALL_GATHER_H_

#include <string>
#include <vector>

#include "comm/group.h"

namespace signccl {

/// Gives this rank's `part` and waits for those of all ranks, [rank], which have the same size. If they have not, the
/// group fails with signcclInvalidUsage. Throws Error.
std::vector<std::string> allGather(Group& group, std::string part, Deadline deadline);

}  // namespace signccl

#endif  // SIGNCCL_COMM_ALL_GATHER_H_
