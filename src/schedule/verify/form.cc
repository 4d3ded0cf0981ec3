// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/form.h"

#include <string>

#include "schedule/verify/objection.h"

namespace signccl {
namespace {

class FormCheck {
 public:
  explicit FormCheck(const Schedule& schedule) : schedule_(schedule) {}

  void run() {
    for (step_ = 0; step_ < schedule_.steps.size(); ++step_) {
      const Step& step = schedule_.steps[step_];
      require(step.chunk >= 0 && step.nchunks >= 1 && step.nchunks <= schedule_.nchunks - step.chunk,
              "chunks out of range");
      if (step.slot.kind == SlotKind::kInbox) {
        require(step.slot.index >= 0 && step.slot.index < schedule_.ninboxes, "no such inbox");
      } else {
        require(step.slot.index == step.chunk, "the slot is not that of the step's chunk");
      }
      checkKind(step);
    }
  }

 private:
  void checkKind(const Step& step) {
    switch (step.kind) {
      case StepKind::kSend:
        checkPeer(step);
        require(step.slot.kind == senderSlot(step.votes), "a message of so many votes is not sent from this slot");
        return;
      case StepKind::kRecv:
        checkPeer(step);
        require(step.slot.kind == (step.votes == schedule_.nranks ? SlotKind::kResult : SlotKind::kInbox),
                "a message of so many votes is not received into this slot");
        return;
      case StepKind::kCount:
        require(step.slot.kind == SlotKind::kCounts, "only counts are counted into");
        checkSources(step);
        return;
      case StepKind::kDecide:
        require(step.slot.kind == SlotKind::kResult, "only a result is decided");
        return;
    }
    require(false, "unknown kind of step");
  }

  [[nodiscard]] SlotKind senderSlot(int votes) const {
    if (votes == 1) return SlotKind::kSigns;
    return votes == schedule_.nranks ? SlotKind::kResult : SlotKind::kCounts;
  }

  void checkPeer(const Step& step) {
    require(step.peer >= 0 && step.peer < schedule_.nranks, "no such peer");
    require(step.peer != schedule_.rank, "a message to itself");
    require(step.votes >= 1 && step.votes <= schedule_.nranks, "number of votes out of range");
  }

  void checkSources(const Step& step) {
    require(step.nsources >= 1, "nothing to count");
    const auto known = static_cast<std::int64_t>(schedule_.sources.size());
    require(step.first_source >= 0 && std::int64_t{step.first_source} + step.nsources <= known, "sources out of range");
    for (const Slot& source : schedule_.sourcesOf(step)) {
      if (source.kind == SlotKind::kInbox) {
        require(source.index >= 0 && source.index < schedule_.ninboxes, "a source is no inbox of this schedule");
      } else {
        require(source.kind == SlotKind::kSigns, "only signs and inboxes are counted");
        require(source.index == step.chunk, "counts signs of another chunk");
      }
    }
  }

  void require(bool condition, const char* what) const {
    if (!condition) objectTo(schedule_, step_, what);
  }

  const Schedule& schedule_;
  std::size_t step_ = 0;
};

}  // namespace

void requireForm(const Schedule& schedule, Rank rank, int nranks, int nchunks) {
  if (schedule.rank != rank || schedule.nranks != nranks || schedule.nchunks != nchunks) {
    throw Objection("schedule of rank " + std::to_string(rank) + " says rank " + std::to_string(schedule.rank) +
                    " of " + std::to_string(schedule.nranks) + " with " + std::to_string(schedule.nchunks) +
                    " chunks, expected rank " + std::to_string(rank) + " of " + std::to_string(nranks) + " with " +
                    std::to_string(nchunks));
  }
  FormCheck(schedule).run();
}

}  // namespace signccl
