// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/verify.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "schedule/verify/form.h"
#include "schedule/verify/message_match.h"
#include "schedule/verify/objection.h"
#include "schedule/verify/vote_sets.h"

namespace signccl {
namespace {

constexpr std::int32_t kNever = -1;  ///< no step
constexpr std::int32_t kDone = -2;   ///< a result that is there

struct Inbox {
  std::int32_t recv = kNever;  ///< the last kRecv into it
  VoteSets::Id votes = VoteSets::kEmpty;
  bool was_read = false;
};

/// What one rank holds, and how far it has got.
struct RankState {
  std::vector<VoteSets::Id> counts;   ///< [nchunks] whose votes
  std::vector<std::int32_t> results;  ///< [nchunks] kNever, kDone, or the kRecv that will bring it
  std::vector<Inbox> inboxes;
  std::vector<std::uint8_t> posted;           ///< [steps] kSend and kRecv
  std::vector<std::uint8_t> delivered;        ///< [steps] kSend and kRecv
  std::vector<std::int32_t> sends_of_counts;  ///< posted, and not known to be delivered
  std::size_t next = 0;                       ///< step
  std::int32_t waits_for = kNever;            ///< the own kSend or kRecv that keeps `next` from starting
};

class Simulation {
 public:
  explicit Simulation(std::span<const Schedule> ranks)
      : schedules_(ranks), match_(matchMessages(ranks)), sets_(static_cast<int>(ranks.size())) {
    for (const Schedule& schedule : ranks) {
      RankState& state = states_.emplace_back();
      state.counts.assign(static_cast<std::size_t>(schedule.nchunks), VoteSets::kEmpty);
      state.results.assign(static_cast<std::size_t>(schedule.nchunks), kNever);
      state.inboxes.resize(static_cast<std::size_t>(schedule.ninboxes));
      state.posted.resize(schedule.steps.size());
      state.delivered.resize(schedule.steps.size());
    }
  }

  void run() {
    for (std::size_t rank = schedules_.size(); rank > 0; --rank) runnable_.push_back(static_cast<Rank>(rank - 1));
    while (!runnable_.empty()) {
      const Rank rank = runnable_.back();
      runnable_.pop_back();
      advance(rank);
    }
    for (std::size_t rank = 0; rank < states_.size(); ++rank) {
      if (states_[rank].waits_for != kNever) reportDeadlock(static_cast<Rank>(rank));
    }
    for (std::size_t rank = 0; rank < states_.size(); ++rank) requireFinished(static_cast<Rank>(rank));
  }

 private:
  [[nodiscard]] const Schedule& scheduleOf(Rank rank) const { return schedules_[static_cast<std::size_t>(rank)]; }
  RankState& stateOf(Rank rank) { return states_[static_cast<std::size_t>(rank)]; }

  /// Runs the steps of a rank until one has to wait.
  void advance(Rank rank) {
    const Schedule& schedule = scheduleOf(rank);
    RankState& state = stateOf(rank);
    for (; state.next < schedule.steps.size(); ++state.next) {
      state.waits_for = start(schedule, state, schedule.steps[state.next]);
      if (state.waits_for != kNever) return;
    }
  }

  /// Runs a step, or returns the earlier kSend or kRecv that it waits for.
  std::int32_t start(const Schedule& schedule, RankState& state, const Step& step) {
    switch (step.kind) {
      case StepKind::kSend:
        return send(schedule, state, step);
      case StepKind::kRecv:
        receive(schedule, state, step);
        return kNever;
      case StepKind::kCount:
        return count(schedule, state, step);
      case StepKind::kDecide:
        decide(schedule, state, step);
        return kNever;
    }
    return kNever;
  }

  std::int32_t send(const Schedule& schedule, RankState& state, const Step& step) {
    const auto [begin, end] = chunksOf(step);
    if (step.slot.kind == SlotKind::kCounts) {
      const VoteSets::Id votes = state.counts[begin];
      for (std::size_t chunk = begin; chunk < end; ++chunk) {
        if (!sets_.equal(state.counts[chunk], votes))
          reject(schedule, state, "its chunks hold votes of different ranks");
      }
      if (sets_.size(votes) != step.votes) {
        reject(schedule, state, "its counts hold the votes of " + std::to_string(sets_.size(votes)) + " ranks");
      }
      state.sends_of_counts.push_back(static_cast<std::int32_t>(state.next));
    } else if (step.slot.kind == SlotKind::kResult) {
      for (std::size_t chunk = begin; chunk < end; ++chunk) {
        const std::int32_t writer = state.results[chunk];
        if (writer == kNever) reject(schedule, state, "nothing writes result " + std::to_string(chunk) + " before");
        if (writer != kDone) return writer;
      }
    }
    post(schedule.rank, step.peer);
    return kNever;
  }

  void receive(const Schedule& schedule, RankState& state, const Step& step) {
    const auto self = static_cast<std::int32_t>(state.next);
    if (step.slot.kind == SlotKind::kInbox) {
      Inbox& inbox = state.inboxes[static_cast<std::size_t>(step.slot.index)];
      if (inbox.recv != kNever && !inbox.was_read) {
        reject(schedule, state,
               "overwrites the inbox before what step " + std::to_string(inbox.recv) + " receives is counted");
      }
      inbox = {self, VoteSets::kEmpty, false};
    } else {
      writeResult(schedule, state, step, self);
    }
    post(schedule.rank, step.peer);
  }

  std::int32_t count(const Schedule& schedule, RankState& state, const Step& step) {
    const auto [begin, end] = chunksOf(step);
    for (const Slot& source : schedule.sourcesOf(step)) {
      if (source.kind == SlotKind::kSigns) continue;
      const Inbox& inbox = state.inboxes[static_cast<std::size_t>(source.index)];
      if (inbox.recv == kNever) {
        reject(schedule, state, "reads inbox " + std::to_string(source.index) + " before anything is received into it");
      }
      const Step& recv = schedule.steps[static_cast<std::size_t>(inbox.recv)];
      if (recv.chunk != step.chunk || recv.nchunks != step.nchunks) {
        reject(
            schedule, state,
            "inbox " + std::to_string(source.index) + " holds other chunks, from step " + std::to_string(inbox.recv));
      }
      if (!state.delivered[static_cast<std::size_t>(inbox.recv)]) return inbox.recv;
    }
    if (const std::int32_t reader = readerOf(schedule, state, step); reader != kNever) return reader;

    // The chunks of a run mostly hold the same votes: then the union is made once.
    VoteSets::Id before = VoteSets::kEmpty;
    VoteSets::Id after = VoteSets::kEmpty;
    for (std::size_t chunk = begin; chunk < end; ++chunk) {
      if (chunk == begin || state.counts[chunk] != before) {
        before = state.counts[chunk];
        after = sum(schedule, state, step, before);
      }
      state.counts[chunk] = after;
    }
    for (const Slot& source : schedule.sourcesOf(step)) {
      if (source.kind == SlotKind::kInbox) state.inboxes[static_cast<std::size_t>(source.index)].was_read = true;
    }
    return kNever;
  }

  /// A send of these counts that may still be reading them.
  std::int32_t readerOf(const Schedule& schedule, RankState& state, const Step& step) const {
    std::erase_if(state.sends_of_counts,
                  [&](std::int32_t send) { return state.delivered[static_cast<std::size_t>(send)]; });
    for (const std::int32_t send : state.sends_of_counts) {
      const Step& reader = schedule.steps[static_cast<std::size_t>(send)];
      if (reader.chunk < step.chunk + step.nchunks && step.chunk < reader.chunk + reader.nchunks) return send;
    }
    return kNever;
  }

  VoteSets::Id sum(const Schedule& schedule, RankState& state, const Step& step, VoteSets::Id before) {
    sets_.add(before);
    for (const Slot& source : schedule.sourcesOf(step)) {
      const VoteSets::Id votes = source.kind == SlotKind::kSigns
                                     ? sets_.of(schedule.rank)
                                     : state.inboxes[static_cast<std::size_t>(source.index)].votes;
      if (const Rank twice = sets_.add(votes); twice >= 0) {
        reject(schedule, state, "counts the vote of rank " + std::to_string(twice) + " twice");
      }
    }
    return sets_.take();
  }

  void decide(const Schedule& schedule, RankState& state, const Step& step) {
    const auto [begin, end] = chunksOf(step);
    for (std::size_t chunk = begin; chunk < end; ++chunk) {
      const int votes = sets_.size(state.counts[chunk]);
      if (votes != schedule.nranks) {
        reject(schedule, state,
               "chunk " + std::to_string(chunk) + " has the votes of " + std::to_string(votes) + " ranks only");
      }
    }
    writeResult(schedule, state, step, kDone);
  }

  void writeResult(const Schedule& schedule, RankState& state, const Step& step, std::int32_t writer) {
    const auto [begin, end] = chunksOf(step);
    for (std::size_t chunk = begin; chunk < end; ++chunk) {
      if (state.results[chunk] != kNever) {
        reject(schedule, state, "writes result " + std::to_string(chunk) + " a second time");
      }
      state.results[chunk] = writer;
    }
  }

  /// Posts the step that `rank` is at; where the peer has posted the other end, the message arrives.
  void post(Rank rank, Rank peer) {
    RankState& state = stateOf(rank);
    RankState& other = stateOf(peer);
    const std::size_t step = state.next;
    const auto other_step = static_cast<std::size_t>(match_[static_cast<std::size_t>(rank)][step]);
    state.posted[step] = 1;
    if (!other.posted[other_step]) return;
    if (scheduleOf(rank).steps[step].kind == StepKind::kSend) {
      deliver(rank, step, peer, other_step);
    } else {
      deliver(peer, other_step, rank, step);
    }
  }

  void deliver(Rank from, std::size_t send, Rank to, std::size_t recv) {
    RankState& sender = stateOf(from);
    RankState& receiver = stateOf(to);
    const Step& message = scheduleOf(from).steps[send];
    const Step& target = scheduleOf(to).steps[recv];
    if (target.slot.kind == SlotKind::kInbox) {
      const auto chunk = static_cast<std::size_t>(message.chunk);
      receiver.inboxes[static_cast<std::size_t>(target.slot.index)].votes =
          message.slot.kind == SlotKind::kSigns ? sets_.of(from) : sender.counts[chunk];
    } else {
      const auto [begin, end] = chunksOf(target);
      for (std::size_t chunk = begin; chunk < end; ++chunk) receiver.results[chunk] = kDone;
    }
    sender.delivered[send] = 1;
    receiver.delivered[recv] = 1;
    if (sender.waits_for == static_cast<std::int32_t>(send)) wake(from);
    if (receiver.waits_for == static_cast<std::int32_t>(recv)) wake(to);
  }

  void wake(Rank rank) {
    stateOf(rank).waits_for = kNever;
    runnable_.push_back(rank);
  }

  /// Follows who waits for whom from `rank` until a rank comes again.
  [[noreturn]] void reportDeadlock(Rank rank) {
    std::vector<bool> seen(states_.size());
    std::string story = "deadlock";
    for (; !seen[static_cast<std::size_t>(rank)]; rank = waitedFor(rank)) {
      seen[static_cast<std::size_t>(rank)] = true;
      const RankState& state = stateOf(rank);
      story += "; " + describe(scheduleOf(rank), state.next) + " waits for its step " +
               std::to_string(state.waits_for) + ", whose other end rank " + std::to_string(waitedFor(rank)) +
               " does not reach";
    }
    throw Objection(story);
  }

  Rank waitedFor(Rank rank) { return scheduleOf(rank).steps[static_cast<std::size_t>(stateOf(rank).waits_for)].peer; }

  void requireFinished(Rank rank) {
    const RankState& state = stateOf(rank);
    for (const Inbox& inbox : state.inboxes) {
      if (inbox.recv != kNever && !inbox.was_read) {
        objectTo(scheduleOf(rank), static_cast<std::size_t>(inbox.recv), "nothing counts the votes that it brings");
      }
    }
    const auto missing = std::ranges::find(state.results, kNever);
    if (missing != state.results.end()) {
      throw Objection("rank " + std::to_string(rank) + " ends after step " + std::to_string(state.next) +
                      " without result " + std::to_string(missing - state.results.begin()));
    }
  }

  struct Range {
    std::size_t begin;
    std::size_t end;
  };
  static Range chunksOf(const Step& step) {
    return {static_cast<std::size_t>(step.chunk), static_cast<std::size_t>(step.chunk + step.nchunks)};
  }

  [[noreturn]] static void reject(const Schedule& schedule, const RankState& state, const std::string& what) {
    objectTo(schedule, state.next, what);
  }

  std::span<const Schedule> schedules_;
  MessageMatch match_;
  VoteSets sets_;
  std::vector<RankState> states_;
  std::vector<Rank> runnable_;
};

}  // namespace

Verdict verify(std::span<const Schedule> ranks) {
  try {
    const auto nranks = static_cast<int>(ranks.size());
    if (nranks == 0) throw Objection("no ranks");
    for (Rank rank = 0; rank < nranks; ++rank) {
      requireForm(ranks[static_cast<std::size_t>(rank)], rank, nranks, ranks[0].nchunks);
    }
    Simulation(ranks).run();
    return {};
  } catch (const Objection& objection) {
    return {false, objection.what()};
  }
}

Verdict verify(int nranks, const std::function<Schedule(Rank)>& generator) {
  std::vector<Schedule> ranks;
  ranks.reserve(static_cast<std::size_t>(std::max(nranks, 0)));
  for (Rank rank = 0; rank < nranks; ++rank) ranks.push_back(generator(rank));
  return verify(ranks);
}

}  // namespace signccl
