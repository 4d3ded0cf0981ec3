// SPDX-License-Identifier: Apache-2.0
// A schedule: what one rank does in one collective, as data. Four kinds of steps over numbered chunks and slots; no
// bytes, types, addresses or operation. Serves every size and both operations. docs/algorithms.md has the algorithms.
//
// The vector is cut into `nchunks` chunks of nearly equal size, the same on all ranks (chunk.h). A step works on a run
// of one or more consecutive chunks; its slot and sources then stand for the slots of the whole run, and a message of a
// run is one message. Without runs, recursive halving would send as many messages as the direct exchange. Slots:
//   signs(c)   the rank's own signs of chunk c; complete before the first step; never written
//   counts(c)  counters of chunk c; no votes in it at the start; written by kCount
//   inbox(i)   what a kRecv put there: signs of one rank, or counters of several, of the whole run of that kRecv;
//              a kCount that reads it works on the same run; inboxes are reused
//   result(c)  the final result of chunk c; written once, by kDecide or kRecv
// Steps take effect in program order. An executor may start a step as soon as the earlier steps of the same rank that
// wrote what it reads, or that read or wrote what it writes, are complete; sends and receives complete when the message
// was delivered. Messages between a pair of ranks are matched in program order.
#ifndef SIGNCCL_SCHEDULE_SCHEDULE_H_
#define SIGNCCL_SCHEDULE_SCHEDULE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"

namespace signccl {

enum class SlotKind : std::uint8_t { kSigns, kCounts, kInbox, kResult };

struct Slot {
  SlotKind kind = SlotKind::kSigns;
  std::int32_t index = 0;  ///< chunk number, for kInbox the number of the inbox

  friend bool operator==(const Slot&, const Slot&) = default;
};

constexpr Slot signs(int chunk) { return {SlotKind::kSigns, chunk}; }
constexpr Slot counts(int chunk) { return {SlotKind::kCounts, chunk}; }
constexpr Slot inbox(int number) { return {SlotKind::kInbox, number}; }
constexpr Slot result(int chunk) { return {SlotKind::kResult, chunk}; }

enum class StepKind : std::uint8_t {
  kSend,    ///< send `slot` (signs, counts or result) to `peer`
  kRecv,    ///< receive from `peer` into `slot` (inbox or result)
  kCount,   ///< add the votes in the step's sources (signs and inboxes of `chunk`) to `slot` (counts)
  kDecide,  ///< turn the complete counts(chunk) into `slot` (result)
};

struct Step {
  StepKind kind = StepKind::kSend;
  Slot slot;
  std::int32_t chunk = 0;  ///< first chunk that the step works on; slots other than inboxes have it as their index
  Rank peer = -1;          ///< kSend and kRecv only

  /// Ranks whose votes the message of a kSend or kRecv holds: 1 for signs, 2 to nranks - 1 for counts, nranks for a
  /// result; the same ranks in every chunk of a run. A message of one rank's votes is always sent as signs. Both sides
  /// derive its width from this.
  std::int32_t votes = 0;

  /// kSend and kRecv: the round of the message, from 0 and the same at both ends. A send depends on no message of its
  /// own or a later round, so all messages of a round can be handed over together.
  std::int32_t round = 0;

  std::int32_t first_source = 0;  ///< kCount only: sources are Schedule::sources[first_source, first_source + nsources)
  std::int32_t nsources = 0;

  std::int32_t nchunks = 1;  ///< the step works on the run of chunks [chunk, chunk + nchunks)
};

struct Schedule {
  Rank rank = 0;
  int nranks = 1;
  int nchunks = 1;
  int ninboxes = 0;
  std::vector<Step> steps;
  std::vector<Slot> sources;

  [[nodiscard]] std::span<const Slot> sourcesOf(const Step& step) const {
    return std::span(sources).subspan(static_cast<std::size_t>(step.first_source),
                                      static_cast<std::size_t>(step.nsources));
  }
};

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_SCHEDULE_H_
