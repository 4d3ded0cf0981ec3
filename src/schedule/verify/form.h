// SPDX-License-Identifier: Apache-2.0
// What can be checked of a schedule without running it: ranges, and which slot may stand in which step. For the
// verifier.
#ifndef SIGNCCL_SCHEDULE_VERIFY_FORM_H_
#define SIGNCCL_SCHEDULE_VERIFY_FORM_H_

#include "schedule/schedule.h"

namespace signccl {

/// Throws an Objection at the first step whose peer, chunks, slots, sources or number of votes are not what
/// schedule.h allows, or if the schedule is not for `rank` of `nranks` with `nchunks` chunks.
void requireForm(const Schedule& schedule, Rank rank, int nranks, int nchunks);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_VERIFY_FORM_H_
