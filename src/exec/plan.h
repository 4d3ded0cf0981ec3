// SPDX-License-Identifier: Apache-2.0
// A plan: a schedule compiled for one kind of collective. It knows which step waits for which, how wide every message
// and counter is, and what the kernels have to do; still no bytes and no addresses. Built once and reused for every
// size.
#ifndef SIGNCCL_EXEC_PLAN_H_
#define SIGNCCL_EXEC_PLAN_H_

#include <cstdint>
#include <span>
#include <vector>

#include "schedule/chunk.h"
#include "schedule/schedule.h"
#include "schedule/width.h"

namespace signccl {

/// What a kCount step adds: one input, as counters or as raw votes.
struct CountSource {
  Slot slot;
  int planes = 1;  ///< votes_per_rank planes of one vote each if `is_signs`, else planes of a counter
  bool is_signs = false;
};

/// How a kCount step leaves its counters.
struct CountTarget {
  int before_planes = 0;  ///< planes that the slot holds before the step, 0: no votes yet
  int sum_planes = 0;     ///< planes of the plain sum
  bool clamps = false;    ///< whether the sum is then clamped to [low, high] and held as value - low
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  int planes = 0;  ///< planes that the slot holds afterwards
};

/// What a kDecide step of a vote compares with: see Kernels::decide.
struct DecideRule {
  std::uint64_t threshold = 0;
  bool has_ties = false;
  int planes = 0;  ///< planes of the complete counters
};

struct PlanStep {
  std::size_t number = 0;  ///< its index in Plan::steps
  StepKind kind = StepKind::kSend;
  Slot slot;
  ChunkRun run;  ///< chunks that the step works on
  Rank peer = -1;
  std::int32_t planes = 0;        ///< of the message (kSend, kRecv) or the result (kDecide)
  std::uint32_t ordinal = 0;      ///< kSend, kRecv: n-th message to or from this peer
  std::int32_t detail = -1;       ///< kCount: index in Plan::count_targets; kDecide: in Plan::decide_rules
  std::int32_t first_source = 0;  ///< kCount: sources in Plan::sources
  std::int32_t nsources = 0;
  std::int32_t waits_for = 0;  ///< earlier steps, and the encoding of the signs, that must be complete before it starts
  std::int32_t first_dependent = 0;  ///< steps that wait for it, in Plan::dependents
  std::int32_t ndependents = 0;
  bool writes_result = false;
  bool is_staged = false;  ///< kSend, kRecv: the planes of the run do not lie together, so the message is copied
};

struct Plan {
  CountRules rules;
  Rank rank = 0;
  int nchunks = 1;
  int ninboxes = 0;
  int nresults_to_write = 0;  ///< steps with writes_result
  int nrounds = 0;            ///< of messages, see Step::round

  std::vector<PlanStep> steps;
  std::vector<CountSource> sources;
  std::vector<CountTarget> count_targets;
  std::vector<DecideRule> decide_rules;
  std::vector<std::int32_t> dependents;
  std::vector<std::int32_t> after_encode;    ///< steps that wait for the signs
  std::vector<std::int32_t> at_start;        ///< steps that wait for nothing
  std::vector<std::int32_t> messages;        ///< kSend and kRecv steps by round, within a round in program order
  std::vector<std::int32_t> first_of_round;  ///< [nrounds + 1] where each round begins in `messages`

  std::vector<int> counts_planes;  ///< [nchunks] planes of room that counts(c) needs, 0: the rank does not count it
  std::vector<int> inbox_room;     ///< [ninboxes] room that an inbox needs, in planes of one chunk

  /// [SlotKind] How the planes of a slot lie. False: each chunk's planes together, so that a chunk is one message.
  /// True, where steps work on runs of several chunks: plane by plane over all chunks, so that a plane of any run is
  /// one range.
  bool by_plane[4] = {};

  /// Signs, results and the counts that become results lie in memory of ExternalEnds, plane by plane.
  bool has_external_ends = false;

  /// The sends and receives of a round, from 0 to nrounds - 1, which an engine may hand over together.
  [[nodiscard]] std::span<const std::int32_t> messagesOfRound(int round) const {
    const auto first = static_cast<std::size_t>(first_of_round[static_cast<std::size_t>(round)]);
    const auto end = static_cast<std::size_t>(first_of_round[static_cast<std::size_t>(round) + 1]);
    return std::span(messages).subspan(first, end - first);
  }

  [[nodiscard]] std::span<const CountSource> sourcesOf(const PlanStep& step) const {
    return std::span(sources).subspan(static_cast<std::size_t>(step.first_source),
                                      static_cast<std::size_t>(step.nsources));
  }
  [[nodiscard]] std::span<const std::int32_t> dependentsOf(const PlanStep& step) const {
    return std::span(dependents)
        .subspan(static_cast<std::size_t>(step.first_dependent), static_cast<std::size_t>(step.ndependents));
  }
};

/// Where the ends of an exchange are: in sources and sinks, or in memory of ExternalEnds.
enum class EndsKind : std::uint8_t { kOwn, kExternal };

/// Compiles a verified schedule. Throws signcclInternalError if the schedule breaks a rule of schedule.h that it
/// notices.
Plan compilePlan(const Schedule& schedule, const CountRules& rules, EndsKind ends = EndsKind::kOwn);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_PLAN_H_
