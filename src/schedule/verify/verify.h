// SPDX-License-Identifier: Apache-2.0
// Proves the schedules of all ranks right, together and symbolically: no bytes, but exactly whose votes are where.
#ifndef SIGNCCL_SCHEDULE_VERIFY_VERIFY_H_
#define SIGNCCL_SCHEDULE_VERIFY_VERIFY_H_

#include <functional>
#include <span>
#include <string>

#include "schedule/schedule.h"

namespace signccl {

struct Verdict {
  bool ok = true;
  std::string message;  ///< if not ok: the rank, the step and what is wrong with it
};

/// Checks what schedule.h demands, by running all ranks:
///   - every decided chunk holds every rank's vote exactly once, and every rank ends with every result
///   - the two ends of a message agree on chunks and number of votes, so on its width, whatever the CountRules;
///     messages between two ranks pair up in program order; none is left over
///   - nothing waits forever, even where each rank runs its steps strictly in order, sends and receives are posted
///     without blocking, a send completes only when its receive is posted, and a slot waits for its writers and
///     readers; an executor that starts steps earlier than that has fewer waits, so it does not deadlock either
///   - slots are written and read as their kinds allow; no inbox is overwritten or left with votes that nobody counted
///
/// Sets of votes are exact. ranks[r] is the schedule of rank r. Time and memory grow with the number of steps, plus
/// ranks times chunks, plus ranks times ranks. Errors are verdicts; throws nothing but std::bad_alloc.
Verdict verify(std::span<const Schedule> ranks);

/// The same for generator(0) to generator(nranks - 1).
Verdict verify(int nranks, const std::function<Schedule(Rank)>& generator);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_VERIFY_VERIFY_H_
