// SPDX-License-Identifier: Apache-2.0
// Carries out exchanges that are cut into slices. Several slices are under way at once, each in a lane with memory of
// its own, and each runs the same plan. A step starts when the steps that it waits for are complete, so the stations of
// different slices overlap.
#ifndef SIGNCCL_EXEC_LANE_ENGINE_H_
#define SIGNCCL_EXEC_LANE_ENGINE_H_

#include <memory>
#include <vector>

#include "base/trace.h"
#include "exec/inner_engine.h"
#include "exec/lane.h"
#include "exec/station_runner.h"
#include "transport/transport.h"

namespace signccl {

class LaneEngine final : public InnerEngine {
 public:
  /// The transport must outlive it. `nthreads`: threads that run kernels, the driving one included. `trace` may be
  /// null. Throws signcclSystemError if a thread cannot be started.
  LaneEngine(Transport& transport, int nthreads, TraceBuffer* trace);

  void prepare(const StationContext& context, std::size_t nlanes, Word* memory) override;
  void start() override;
  bool progress() override;
  [[nodiscard]] bool finished() const override { return lanes_left_ == 0; }
  [[nodiscard]] bool lacksSigns() const { return !without_signs_.empty(); }
  [[nodiscard]] Notes notes() const override { return notes_; }
  void abandon() noexcept override;
  [[nodiscard]] std::vector<Rank> peersOf(StepKind kind) const override;

 private:
  void startSlice(Lane& lane);
  void startStep(Lane& lane, std::int32_t number);
  void startMessage(Lane& lane, std::int32_t number, const PlanStep& step);
  void startStation(const Lane& lane, std::int32_t station);
  bool runStations();
  void startReady();
  void completeRequest(Request& request);
  void completeStation(Lane& lane, const StationWork& work);
  bool takeSigns();
  void completeEncode(Lane& lane);
  void completeCheck();
  void completeStep(Lane& lane, std::int32_t number);
  void startWaiting(Lane& lane, std::span<const std::int32_t> steps);
  void releaseInboxes(Lane& lane, const PlanStep& step);
  void completeResults(Lane& lane);
  void decodeIfReady(Lane& lane);
  void endSliceIfDone(Lane& lane);
  void traceMessage(const Lane& lane, const PlanStep& step);

  Transport& transport_;
  TraceBuffer* trace_;
  const StationContext* context_ = nullptr;

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t nlanes_ = 0;         ///< lanes in use by exchanges of this shape
  bool has_small_slices_ = false;  ///< a look at the transport takes longer than all stations of a slice
  std::size_t lanes_left_ = 0;     ///< lanes with a slice under way
  std::size_t next_slice_ = 0;
  std::size_t encodes_left_ = 0;  ///< slices not yet encoded
  std::size_t results_left_ = 0;  ///< slices whose results are not all there
  Notes notes_;                   ///< all: of the slices that have their results; own: of those that are encoded

  struct Ready {
    Lane* lane;
    std::int32_t step;
  };
  std::vector<Ready> ready_;          ///< steps to start; a stack
  std::vector<Lane*> without_signs_;  ///< whose slices wait for ExternalEnds
  std::vector<Request*> completed_;   ///< scratch of progress()
  std::vector<StationWork> done_;     ///< scratch of runStations()

  std::unique_ptr<StationRunner> runner_;  ///< last, so that its threads end before what their work uses
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_LANE_ENGINE_H_
