// SPDX-License-Identifier: Apache-2.0
// Appends steps to the schedule of one rank; keeps its list of sources and its number of inboxes.
#ifndef SIGNCCL_SCHEDULE_BUILDER_H_
#define SIGNCCL_SCHEDULE_BUILDER_H_

#include <vector>

#include "schedule/chunk.h"
#include "schedule/schedule.h"

namespace signccl {

class ScheduleBuilder {
 public:
  ScheduleBuilder(Rank rank, int nranks, int nchunks);

  /// Messages that are appended from now on have this round; 0 at first.
  void enterRound(int round) { round_ = round; }

  /// Sends the votes of `votes` ranks: the rank's own signs if it is 1, else its counts.
  void sendVotes(Rank peer, ChunkRun run, int votes);

  /// Receives what the peer's sendVotes sends into an inbox of that number.
  void recvVotes(Rank peer, ChunkRun run, int votes, int inbox_number);

  void sendResult(Rank peer, ChunkRun run);
  void recvResult(Rank peer, ChunkRun run);

  /// Adds the sources to the counts of the run.
  void count(ChunkRun run, const std::vector<Slot>& sources);

  /// Turns the complete counts of the run into its result.
  void decide(ChunkRun run);

  /// Hands the schedule over; the builder is empty afterwards.
  [[nodiscard]] Schedule finish();

 private:
  Step& append(StepKind kind, Slot slot, ChunkRun run);

  Schedule schedule_;
  std::int32_t round_ = 0;
};

/// Inboxes first, first + 1, ... first + count - 1, as sources of a count, behind `signs(chunk)`.
std::vector<Slot> signsAndInboxes(int chunk, int first, int count);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_BUILDER_H_
