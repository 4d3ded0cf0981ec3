// SPDX-License-Identifier: Apache-2.0
// Sums on streams. Whoever asks for the outcome of one waits for it on the host: it is known when all ranks have the
// signs of all, which is before the results are written. Who does not ask need not wait.
#ifndef SIGNCCL_API_STREAM_SUM_H_
#define SIGNCCL_API_STREAM_SUM_H_

#include <span>

#include "api/arguments.h"
#include "api/handles.h"

namespace signccl {

/// Of the sums of one exchange, [segment].
StreamSum streamSumOf(std::span<const SumCall> sums);

/// Enqueues a sum on its stream; if its outcome is asked for, also waits for that and tells it. Throws what
/// StreamRank::enqueueSum() and CommHandle::tellSum() throw, and the failure of the communicator. A call that throws
/// before it is queued takes no number.
void enqueueSum(CommHandle& comm, CheckedCollective& checked);

}  // namespace signccl

#endif  // SIGNCCL_API_STREAM_SUM_H_
