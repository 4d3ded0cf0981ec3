// SPDX-License-Identifier: Apache-2.0
// The state of one slice that is under way.
#ifndef SIGNCCL_EXEC_LANE_H_
#define SIGNCCL_EXEC_LANE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "exec/plan.h"
#include "exec/stations.h"
#include "transport/transport.h"

namespace signccl {

struct Lane {
  /// Makes the lane ready for slices of `plan`, with `memory` for their slots.
  void prepare(const Plan& plan, std::size_t lane_number, Word* memory) {
    number = lane_number;
    slice.memory = memory;
    requests.resize(plan.steps.size());
    awaited.assign(plan.steps.size(), 0);
    started_ns.resize(plan.steps.size());
    inboxes.assign(static_cast<std::size_t>(plan.ninboxes), nullptr);
    inbox_requests.assign(static_cast<std::size_t>(plan.ninboxes), nullptr);
    slice.inboxes = inboxes;
    waits_for.resize(plan.steps.size());
  }

  /// Puts a slice on the lane: nothing of it is done.
  void begin(const Plan& plan, std::size_t slice_number, WordRange words, std::uint32_t own_note) {
    slice.number = slice_number;
    slice.word_begin = words.begin;
    slice.nwords = words.size;
    slice.note = own_note;
    std::transform(plan.steps.begin(), plan.steps.end(), waits_for.begin(),
                   [](const PlanStep& step) { return step.waits_for; });
    steps_left = plan.steps.size();
    results_left = plan.nresults_to_write;
    decoding = false;
    decoded = false;
  }

  /// Request::user of a step's message, and back.
  [[nodiscard]] std::uint64_t requestId(std::int32_t step) const {
    return (std::uint64_t{number} << 32) | static_cast<std::uint32_t>(step);
  }
  static std::size_t laneOf(std::uint64_t request_id) { return request_id >> 32; }
  static std::int32_t stepOf(std::uint64_t request_id) { return static_cast<std::int32_t>(request_id); }

  std::size_t number = 0;
  Slice slice;
  std::size_t steps_left = 0;
  int results_left = 0;
  bool decoding = false;  ///< the decode station was started
  bool decoded = false;

  std::vector<std::int32_t> waits_for;   ///< [steps] what each step still waits for
  std::vector<Request> requests;         ///< [steps] of sends and receives
  std::vector<std::uint8_t> awaited;     ///< [steps] 1 while a message is outstanding
  std::vector<std::int64_t> started_ns;  ///< [steps] when a message was started; kept while tracing
  std::vector<const Word*> inboxes;      ///< [inboxes] where the message is
  std::vector<Request*> inbox_requests;  ///< [inboxes] the receive that brought it, until it is released
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_LANE_H_
