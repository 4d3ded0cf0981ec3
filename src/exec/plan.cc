// SPDX-License-Identifier: Apache-2.0
#include "exec/plan.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/word.h"

namespace signccl {
namespace {

/// Numbers from 0 to `max` that stand for number + offset votes of `ranks` ranks.
struct Content {
  int ranks = 0;
  std::int64_t offset = 0;
  std::int64_t max = 0;
};

/// Who wrote a slot last and who has read it since: what the next access has to wait for.
struct Accesses {
  std::int32_t writer = -1;
  std::vector<std::int32_t> readers;
};

class Compiler {
 public:
  Compiler(const Schedule& schedule, const CountRules& rules, EndsKind ends)
      : schedule_(schedule),
        counts_(static_cast<std::size_t>(schedule.nchunks)),
        inboxes_(static_cast<std::size_t>(schedule.ninboxes)),
        accesses_{std::vector<Accesses>(static_cast<std::size_t>(schedule.nchunks)),
                  std::vector<Accesses>(static_cast<std::size_t>(schedule.nchunks)),
                  std::vector<Accesses>(static_cast<std::size_t>(schedule.ninboxes)),
                  std::vector<Accesses>(static_cast<std::size_t>(schedule.nchunks))},
        sent_(static_cast<std::size_t>(schedule.nranks)),
        received_(static_cast<std::size_t>(schedule.nranks)),
        followers_(schedule.steps.size()) {
    plan_.rules = rules;
    plan_.has_external_ends = ends == EndsKind::kExternal;
    plan_.rank = schedule.rank;
    plan_.nchunks = schedule.nchunks;
    plan_.ninboxes = schedule.ninboxes;
    plan_.counts_planes.resize(static_cast<std::size_t>(schedule.nchunks));
    plan_.inbox_room.resize(static_cast<std::size_t>(schedule.ninboxes));
  }

  Plan compile() {
    chooseLayout();
    plan_.steps.reserve(schedule_.steps.size());
    for (const Step& step : schedule_.steps) {
      PlanStep compiled;
      compiled.number = plan_.steps.size();
      compiled.kind = step.kind;
      compiled.slot = step.slot;
      compiled.run = {step.chunk, step.nchunks};
      compiled.peer = step.peer;
      current_ = static_cast<std::int32_t>(plan_.steps.size());
      waits_on_signs_ = false;
      predecessors_.clear();
      add(step, compiled);
      finishDependencies(compiled);
      plan_.steps.push_back(compiled);
    }
    flattenDependents();
    groupMessages();
    return std::move(plan_);
  }

 private:
  void chooseLayout() {
    if (plan_.has_external_ends) {
      plan_.by_plane[static_cast<std::size_t>(SlotKind::kSigns)] = true;
      plan_.by_plane[static_cast<std::size_t>(SlotKind::kResult)] = true;
    }
    for (const Step& step : schedule_.steps) {
      if (step.nchunks == 1) continue;
      plan_.by_plane[static_cast<std::size_t>(step.slot.kind)] = true;
      for (const Slot& source : schedule_.sourcesOf(step)) plan_.by_plane[static_cast<std::size_t>(source.kind)] = true;
    }
    // Counts of an average are its results (Layout), so both lie alike. An inbox holds the one run of its message.
    bool& counts_by_plane = plan_.by_plane[static_cast<std::size_t>(SlotKind::kCounts)];
    bool& results_by_plane = plan_.by_plane[static_cast<std::size_t>(SlotKind::kResult)];
    if (plan_.rules.op == SignOp::kAvg) counts_by_plane = results_by_plane = counts_by_plane || results_by_plane;
    plan_.by_plane[static_cast<std::size_t>(SlotKind::kInbox)] = false;
  }

  void add(const Step& step, PlanStep& compiled) {
    switch (step.kind) {
      case StepKind::kSend:
        compiled.planes = messagePlanes(plan_.rules, step.votes);
        compiled.is_staged = plan_.by_plane[static_cast<std::size_t>(step.slot.kind)] && compiled.planes > 1;
        compiled.ordinal = sent_[static_cast<std::size_t>(step.peer)]++;
        read(step.slot, step);
        break;
      case StepKind::kRecv:
        compiled.planes = messagePlanes(plan_.rules, step.votes);
        compiled.ordinal = received_[static_cast<std::size_t>(step.peer)]++;
        receiveInto(step, compiled);
        break;
      case StepKind::kCount:
        addCount(step, compiled);
        break;
      case StepKind::kDecide:
        addDecide(step, compiled);
        break;
    }
  }

  void receiveInto(const Step& step, PlanStep& compiled) {
    write(step.slot, step);
    if (step.slot.kind == SlotKind::kResult) {
      SIGNCCL_ASSERT(step.votes == schedule_.nranks);
      compiled.is_staged = plan_.by_plane[static_cast<std::size_t>(SlotKind::kResult)] && compiled.planes > 1;
      compiled.writes_result = true;
      ++plan_.nresults_to_write;
      return;
    }
    SIGNCCL_ASSERT(step.slot.kind == SlotKind::kInbox && step.votes >= 1 && step.votes < schedule_.nranks);
    const auto index = static_cast<std::size_t>(step.slot.index);
    plan_.inbox_room[index] = std::max(plan_.inbox_room[index], compiled.planes * step.nchunks);
    if (step.votes == 1) {
      inboxes_[index] = {1, 0, plan_.rules.votes_per_rank};
    } else {
      const CountRange range = messageRange(plan_.rules, step.votes);
      inboxes_[index] = {step.votes, range.low, range.high - range.low};
    }
  }

  void addCount(const Step& step, PlanStep& compiled) {
    SIGNCCL_ASSERT(step.slot.kind == SlotKind::kCounts && step.nsources > 0);
    Content content = counts_[static_cast<std::size_t>(step.chunk)];  // the same in every chunk of the run
    CountTarget target;
    target.before_planes = planesFor(static_cast<std::uint64_t>(content.max));
    compiled.first_source = static_cast<std::int32_t>(plan_.sources.size());
    compiled.nsources = step.nsources;
    for (const Slot& slot : schedule_.sourcesOf(step)) {
      read(slot, step);
      const Content added = slot.kind == SlotKind::kSigns ? Content{1, 0, plan_.rules.votes_per_rank}
                                                          : inboxes_[static_cast<std::size_t>(slot.index)];
      SIGNCCL_ASSERT(added.ranks >= 1);
      const bool is_signs = added.ranks == 1;
      plan_.sources.push_back(
          {slot, is_signs ? plan_.rules.votes_per_rank : planesFor(static_cast<std::uint64_t>(added.max)), is_signs});
      content.ranks += added.ranks;
      content.offset += added.offset;
      content.max += added.max;
    }
    SIGNCCL_ASSERT(content.ranks <= schedule_.nranks);
    target.sum_planes = planesFor(static_cast<std::uint64_t>(content.max));
    normalise(content, target);
    target.planes = planesFor(static_cast<std::uint64_t>(content.max));
    for (int chunk = step.chunk; chunk < step.chunk + step.nchunks; ++chunk) {
      const auto index = static_cast<std::size_t>(chunk);
      counts_[index] = content;
      plan_.counts_planes[index] = std::max({plan_.counts_planes[index], target.sum_planes, fullPlanes(plan_.rules)});
    }
    compiled.detail = static_cast<std::int32_t>(plan_.count_targets.size());
    plan_.count_targets.push_back(target);
    write(step.slot, step);
  }

  /// Counters that may be sent are brought to the form that messages have; complete ones are decided as they are.
  void normalise(Content& content, CountTarget& target) {
    if (content.ranks == schedule_.nranks || content.ranks == 1) return;
    const CountRange range = messageRange(plan_.rules, content.ranks);
    SIGNCCL_ASSERT(range.low >= content.offset);
    if (range.low == content.offset && range.high == content.offset + content.max) return;
    target.clamps = true;
    target.low = static_cast<std::uint64_t>(range.low - content.offset);
    target.high = static_cast<std::uint64_t>(range.high - content.offset);
    content.offset = range.low;
    content.max = range.high - range.low;
  }

  void addDecide(const Step& step, PlanStep& compiled) {
    const Content& content = counts_[static_cast<std::size_t>(step.chunk)];
    SIGNCCL_ASSERT(content.ranks == schedule_.nranks && step.slot == result(step.chunk));
    const std::int64_t total = plan_.rules.totalVotes();
    DecideRule rule;
    rule.threshold = static_cast<std::uint64_t>(total / 2 + 1 - content.offset);
    rule.has_ties = total % 2 == 0;
    rule.planes = planesFor(static_cast<std::uint64_t>(content.max));
    compiled.planes = resultPlanes(plan_.rules);
    compiled.detail = static_cast<std::int32_t>(plan_.decide_rules.size());
    compiled.writes_result = true;
    ++plan_.nresults_to_write;
    plan_.decide_rules.push_back(rule);
    read(counts(step.chunk), step);
    write(step.slot, step);
  }

  /// The slots of all chunks of the step's run; an inbox stands for itself.
  std::span<Accesses> accessesOf(Slot slot, const Step& step) {
    const std::size_t first = static_cast<std::size_t>(slot.index);
    const std::size_t size = slot.kind == SlotKind::kInbox ? 1 : static_cast<std::size_t>(step.nchunks);
    return std::span(accesses_[static_cast<std::size_t>(slot.kind)]).subspan(first, size);
  }

  void read(Slot slot, const Step& step) {
    if (slot.kind == SlotKind::kSigns) {
      waits_on_signs_ = true;
      return;
    }
    for (Accesses& accesses : accessesOf(slot, step)) {
      if (accesses.writer >= 0) predecessors_.push_back(accesses.writer);
      accesses.readers.push_back(current_);
    }
  }

  void write(Slot slot, const Step& step) {
    SIGNCCL_ASSERT(slot.kind != SlotKind::kSigns);
    for (Accesses& accesses : accessesOf(slot, step)) {
      if (accesses.writer >= 0) predecessors_.push_back(accesses.writer);
      predecessors_.insert(predecessors_.end(), accesses.readers.begin(), accesses.readers.end());
      accesses.writer = current_;
      accesses.readers.clear();
    }
  }

  void finishDependencies(PlanStep& compiled) {
    std::sort(predecessors_.begin(), predecessors_.end());
    predecessors_.erase(std::unique(predecessors_.begin(), predecessors_.end()), predecessors_.end());
    std::erase(predecessors_, current_);
    for (const std::int32_t earlier : predecessors_) followers_[static_cast<std::size_t>(earlier)].push_back(current_);
    compiled.waits_for = static_cast<std::int32_t>(predecessors_.size()) + (waits_on_signs_ ? 1 : 0);
    if (waits_on_signs_) plan_.after_encode.push_back(current_);
    if (compiled.waits_for == 0) plan_.at_start.push_back(current_);
  }

  void flattenDependents() {
    for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
      plan_.steps[step].first_dependent = static_cast<std::int32_t>(plan_.dependents.size());
      plan_.steps[step].ndependents = static_cast<std::int32_t>(followers_[step].size());
      plan_.dependents.insert(plan_.dependents.end(), followers_[step].begin(), followers_[step].end());
    }
  }

  void groupMessages() {
    const auto is_message = [](const Step& step) {
      return step.kind == StepKind::kSend || step.kind == StepKind::kRecv;
    };
    for (const Step& step : schedule_.steps) {
      if (is_message(step)) plan_.nrounds = std::max(plan_.nrounds, step.round + 1);
    }
    for (int round = 0; round < plan_.nrounds; ++round) {
      plan_.first_of_round.push_back(static_cast<std::int32_t>(plan_.messages.size()));
      for (std::size_t number = 0; number < schedule_.steps.size(); ++number) {
        const Step& step = schedule_.steps[number];
        if (is_message(step) && step.round == round) plan_.messages.push_back(static_cast<std::int32_t>(number));
      }
    }
    plan_.first_of_round.push_back(static_cast<std::int32_t>(plan_.messages.size()));
  }

  const Schedule& schedule_;
  Plan plan_;
  std::vector<Content> counts_;
  std::vector<Content> inboxes_;
  std::vector<Accesses> accesses_[4];  ///< by SlotKind
  std::vector<std::uint32_t> sent_;
  std::vector<std::uint32_t> received_;
  std::vector<std::vector<std::int32_t>> followers_;
  std::vector<std::int32_t> predecessors_;
  std::int32_t current_ = 0;
  bool waits_on_signs_ = false;
};

}  // namespace

Plan compilePlan(const Schedule& schedule, const CountRules& rules, EndsKind ends) {
  return Compiler(schedule, rules, ends).compile();
}

}  // namespace signccl
