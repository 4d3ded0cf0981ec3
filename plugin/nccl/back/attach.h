// SPDX-License-Identifier: Apache-2.0
// Makes mirrors of communicators of NCCL: their ranks introduce themselves, compare their rules, and join a
// communicator of SignCCL.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_

#include <span>

#include "nccl/back/introduce.h"

namespace signccl::nccl_preload {

/// Gives each candidate's record a mirror. All ranks call it as they call introduce(), on the stream of the call that
/// matched.
///
/// Throws Failure, which is noted in the records, too: what introduce() throws, or the ranks have different rules, or
/// they cannot join.
void attach(const Surroundings& surroundings, std::span<const Candidate> candidates);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_
