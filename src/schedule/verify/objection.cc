// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/objection.h"

namespace signccl {
namespace {

std::string inWords(Slot slot) {
  const std::string number = std::to_string(slot.index);
  switch (slot.kind) {
    case SlotKind::kSigns:
      return "signs " + number;
    case SlotKind::kCounts:
      return "counts " + number;
    case SlotKind::kInbox:
      return "inbox " + number;
    case SlotKind::kResult:
      return "result " + number;
  }
  return "no slot " + number;
}

std::string chunksOf(const Step& step) {
  if (step.nchunks == 1) return "chunk " + std::to_string(step.chunk);
  return "chunks " + std::to_string(step.chunk) + " to " + std::to_string(step.chunk + step.nchunks - 1);
}

std::string votesOf(const Step& step) {
  return "votes of " + std::to_string(step.votes) + (step.votes == 1 ? " rank for " : " ranks for ") + chunksOf(step);
}

std::string action(const Schedule& schedule, const Step& step) {
  switch (step.kind) {
    case StepKind::kSend:
      return "send " + votesOf(step) + " from " + inWords(step.slot) + " to rank " + std::to_string(step.peer);
    case StepKind::kRecv:
      return "receive " + votesOf(step) + " from rank " + std::to_string(step.peer) + " into " + inWords(step.slot);
    case StepKind::kCount:
      return "count " + std::to_string(step.nsources) + " sources of " + chunksOf(step) + " into " + inWords(step.slot);
    case StepKind::kDecide:
      return "decide " + chunksOf(step) + " of " + std::to_string(schedule.nranks) + " ranks";
  }
  return "no kind of step";
}

}  // namespace

std::string describe(const Schedule& schedule, std::size_t step) {
  return "rank " + std::to_string(schedule.rank) + " step " + std::to_string(step) + " (" +
         action(schedule, schedule.steps[step]) + ")";
}

void objectTo(const Schedule& schedule, std::size_t step, const std::string& what) {
  throw Objection(describe(schedule, step) + ": " + what);
}

}  // namespace signccl
