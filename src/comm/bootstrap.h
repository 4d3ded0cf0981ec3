// SPDX-License-Identifier: Apache-2.0
// How the ranks of a new communicator learn where to meet: by a unique id, SIGNCCL_COMM_ID, or the caller's all-gather.
#ifndef SIGNCCL_COMM_BOOTSTRAP_H_
#define SIGNCCL_COMM_BOOTSTRAP_H_

#include "base/settings.h"
#include "comm/join.h"
#include "comm/options.h"
#include "signccl/signccl.h"

namespace signccl {

/// The meeting point that SIGNCCL_COMM_ID names; without it opens a hub, which listens for the time of an operation
/// unless a rank comes. Throws Error.
signcclUniqueId makeUniqueId(const Settings& settings, const CommOptions& options);

/// How `rank` joins. `config`, which may be null, may hold the caller's all-gather, which is then called. Throws Error.
JoinOptions joinOptions(int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config,
                        const CommOptions& options, const Settings& settings);

}  // namespace signccl

#endif  // SIGNCCL_COMM_BOOTSTRAP_H_
