// SPDX-License-Identifier: Apache-2.0
#include "schedule/builder.h"

#include <algorithm>
#include <utility>

namespace signccl {

ScheduleBuilder::ScheduleBuilder(Rank rank, int nranks, int nchunks) {
  schedule_.rank = rank;
  schedule_.nranks = nranks;
  schedule_.nchunks = nchunks;
}

void ScheduleBuilder::sendVotes(Rank peer, ChunkRun run, int votes) {
  Step& step = append(StepKind::kSend, votes == 1 ? signs(run.first) : counts(run.first), run);
  step.peer = peer;
  step.votes = votes;
}

void ScheduleBuilder::recvVotes(Rank peer, ChunkRun run, int votes, int inbox_number) {
  Step& step = append(StepKind::kRecv, inbox(inbox_number), run);
  step.peer = peer;
  step.votes = votes;
  schedule_.ninboxes = std::max(schedule_.ninboxes, inbox_number + 1);
}

void ScheduleBuilder::sendResult(Rank peer, ChunkRun run) {
  Step& step = append(StepKind::kSend, result(run.first), run);
  step.peer = peer;
  step.votes = schedule_.nranks;
}

void ScheduleBuilder::recvResult(Rank peer, ChunkRun run) {
  Step& step = append(StepKind::kRecv, result(run.first), run);
  step.peer = peer;
  step.votes = schedule_.nranks;
}

void ScheduleBuilder::count(ChunkRun run, const std::vector<Slot>& sources) {
  Step& step = append(StepKind::kCount, counts(run.first), run);
  step.first_source = static_cast<std::int32_t>(schedule_.sources.size());
  step.nsources = static_cast<std::int32_t>(sources.size());
  schedule_.sources.insert(schedule_.sources.end(), sources.begin(), sources.end());
}

void ScheduleBuilder::decide(ChunkRun run) { append(StepKind::kDecide, result(run.first), run); }

Schedule ScheduleBuilder::finish() { return std::exchange(schedule_, {}); }

Step& ScheduleBuilder::append(StepKind kind, Slot slot, ChunkRun run) {
  Step& step = schedule_.steps.emplace_back();
  step.kind = kind;
  step.slot = slot;
  step.chunk = run.first;
  step.nchunks = run.count;
  if (kind == StepKind::kSend || kind == StepKind::kRecv) step.round = round_;
  return step;
}

std::vector<Slot> signsAndInboxes(int chunk, int first, int count) {
  std::vector<Slot> sources = {signs(chunk)};
  for (int number = first; number < first + count; ++number) sources.push_back(inbox(number));
  return sources;
}

}  // namespace signccl
