// SPDX-License-Identifier: Apache-2.0
// Calls over NCCL that were captured into CUDA graphs, and what the host sees of their replays.
//
// A replay is no call of the library, and the host takes no part in it. Its stream counts up one word of pinned memory
// when it comes to the call, and another one when it is through, so that a thread finds replays that wait for ranks
// which do not come, and statistics count them.
#ifndef SIGNCCL_NCCL_NCCL_REPLAY_H_
#define SIGNCCL_NCCL_NCCL_REPLAY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/failure.h"
#include "comm/communicator.h"
#include "nccl/nccl_lane.h"
#include "nccl/nccl_memory.h"
#include "nccl/nccl_watch.h"
#include "stream/graph_held.h"

namespace signccl {

/// Makes no CUDA call.
class NcclReplay final : public GraphHeld {
 public:
  /// All that replays use is held here; somebody else holds it, too, and frees it later.
  struct Held {
    std::shared_ptr<const NcclMemory> memory;
    std::shared_ptr<const void> tables;
    std::shared_ptr<NcclLane> lane;  ///< or null
    std::shared_ptr<const NcclSwitch> power;
  };
  /// `call`: a number that differs where what the ranks have captured does. `of_each`: what a replay counts.
  NcclReplay(Held held, std::uint64_t call, CommCounters of_each)
      : held_(std::move(held)), call_(call), of_each_(of_each) {}

  [[nodiscard]] const std::shared_ptr<const NcclMemory>& memory() const { return held_.memory; }
  [[nodiscard]] NcclLane* lane() const { return held_.lane.get(); }
  [[nodiscard]] std::uint64_t call() const { return call_; }

  /// Replays that streams have come to, and that they are through with, modulo 2^32.
  [[nodiscard]] std::uint32_t begun() const { return held_.memory->begun().value().load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t ended() const { return held_.memory->ended().value().load(std::memory_order_acquire); }

  /// Of all replays that have ended.
  [[nodiscard]] CommCounters counters() const;

 private:
  const Held held_;
  const std::uint64_t call_;
  const CommCounters of_each_;
};

/// Those of one rank. Any thread.
class NcclReplays {
 public:
  using Clock = std::chrono::steady_clock;

  NcclReplays(Rank rank, std::chrono::milliseconds timeout) : rank_(rank), timeout_(timeout) {}

  void add(std::shared_ptr<const NcclReplay> replay);

  /// True if no graph is left.
  [[nodiscard]] bool areGone();

  /// What the rank fails with, once a replay waits for longer than the deadline. Finds it late by the time between two
  /// calls. Makes no CUDA call. With an ExitGate::Pass: pinned memory is read.
  std::optional<Failure> look(Clock::time_point now);

  /// Of all replays, also of graphs that have gone, and the memory of those that are left.
  [[nodiscard]] CommCounters counters();

 private:
  struct Watched {
    explicit Watched(std::shared_ptr<const NcclReplay> watched) : replay(std::move(watched)) {}

    std::shared_ptr<const NcclReplay> replay;
    std::uint32_t begun = 0;  ///< at the last look
    std::uint32_t ended = 0;
    Clock::time_point since;  ///< when they had changed
  };

  void removeDropped();

  const Rank rank_;
  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;  ///< guards what follows
  std::vector<Watched> watched_;
  CommCounters of_dropped_;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_REPLAY_H_
