// SPDX-License-Identifier: Apache-2.0
// Which kRecv takes the message of which kSend: between a pair of ranks the n-th goes to the n-th. For the verifier.
#ifndef SIGNCCL_SCHEDULE_VERIFY_MESSAGE_MATCH_H_
#define SIGNCCL_SCHEDULE_VERIFY_MESSAGE_MATCH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "schedule/schedule.h"

namespace signccl {

/// [rank][step]: the step of the peer at the other end of a kSend or kRecv; -1 for other steps.
using MessageMatch = std::vector<std::vector<std::int32_t>>;

/// Throws an Objection if a message has no receiver or a receiver no message, or if the two ends differ in what they
/// say it holds. Ranks and slots must be in range.
MessageMatch matchMessages(std::span<const Schedule> ranks);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_VERIFY_MESSAGE_MATCH_H_
