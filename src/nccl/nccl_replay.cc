// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_replay.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/exit_gate.h"

namespace signccl {

CommCounters NcclReplay::counters() const {
  const std::uint64_t replays = ended();
  CommCounters all = of_each_;
  all.collectives *= replays;
  all.exchanges *= replays;
  TransportCounters& messages = all.engine.messages;
  for (std::uint64_t* const one :
       {&messages.bytes_sent, &messages.bytes_received, &messages.messages_sent, &messages.messages_received}) {
    *one *= replays;
  }
  return all;
}

void NcclReplays::add(std::shared_ptr<const NcclReplay> replay) {
  ExitGate::open();
  const std::lock_guard lock(mutex_);
  removeDropped();
  watched_.emplace_back(std::move(replay));
}

bool NcclReplays::areGone() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  return watched_.empty();
}

std::optional<Failure> NcclReplays::look(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  removeDropped();
  for (Watched& one : watched_) {
    const std::uint32_t ended = one.replay->ended();  // before the other word, which is never behind
    const std::uint32_t begun = one.replay->begun();
    if (begun != one.begun || ended != one.ended) {
      one.begun = begun;
      one.ended = ended;
      one.since = now;
    }
    if (begun == ended || now - one.since < timeout_) continue;
    return Failure{signcclTimeout,
                   rankName(rank_) + " waited " + std::to_string(timeout_.count()) +
                       " ms for the other ranks in replay " + std::to_string(ended) +
                       " of a CUDA graph over NCCL: every rank must replay the same graphs as often and in the same "
                       "order",
                   Failure::Scope::kGroup};
  }
  return std::nullopt;
}

CommCounters NcclReplays::counters() {
  const std::lock_guard lock(mutex_);
  removeDropped();
  CommCounters all = of_dropped_;
  for (const Watched& one : watched_) {
    all.add(one.replay->counters());
    all.engine.scratch_bytes += one.replay->memory()->nwords() * sizeof(Word);
  }
  return all;
}

/// No replay of theirs is under way any more.
void NcclReplays::removeDropped() {
  std::erase_if(watched_, [&](const Watched& one) {
    if (!one.replay->isDropped()) return false;
    of_dropped_.add(one.replay->counters());
    return true;
  });
}

}  // namespace signccl
