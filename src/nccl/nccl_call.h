// SPDX-License-Identifier: Apache-2.0
// One call over NCCL, and the rounds in which it is enqueued: in each a group of messages, then kernels.
//
//   one shot:    slice by slice: gather the signs of all ranks; count, decide and decode
//   two phases:  send each rank the signs of its chunk of a slice, and gather the results of the slice before; count
//                and decide the former, decode the latter
//
// With several slices, messages and counting are on a stream of their own (nccl_lane.h), where they follow each other.
// The caller's stream encodes all slices, and decodes each when its results are there; as many as there are buffers for
// results may be ahead of it.
//
// A call that is captured enters a CUDA graph, and every replay does all of it anew.
//
// In a call of a step the ranks also learn, with what they gather for the first slice, whether one of them vetoes, and
// in a replay, whether all are replaying the same.
#ifndef SIGNCCL_NCCL_NCCL_CALL_H_
#define SIGNCCL_NCCL_NCCL_CALL_H_

#include <memory>
#include <optional>

#include "device/capture.h"
#include "nccl/nccl_lane.h"
#include "nccl/nccl_layout.h"
#include "nccl/nccl_rank.h"
#include "nccl/nccl_replay.h"

namespace signccl {

/// Who encodes and decodes.
struct NcclEnds {
  EndKernels& kernels;
  const std::uint32_t* veto = nullptr;  ///< see StreamStep::device_veto; null: the call belongs to no step
};

/// Where a call has its memory: in a room that calls share, or in what a graph holds.
struct NcclPlace {
  NcclRoom* room = nullptr;
  std::shared_ptr<const NcclReplay> replay = nullptr;
  std::optional<StreamCapture> capture = std::nullopt;  ///< with `replay`
  NcclLane* lane = nullptr;                             ///< of either; null: all is on the caller's stream

  [[nodiscard]] const NcclMemory& memory() const { return replay ? *replay->memory() : *room->memory; }
};

/// One thread at a time.
class NcclCall final : public EngineCall {
 public:
  NcclCall(NcclRank& rank, Batch batch, const NcclLayout& layout, const NcclEnds& ends, NcclPlace place,
           CudaStream stream);
  ~NcclCall() override;
  NcclCall(const NcclCall&) = delete;
  NcclCall& operator=(const NcclCall&) = delete;

  /// The front: says that the stream has come to the call, and encodes all slices. With the device's context.
  void enqueueSigns();

  void open() override;
  void close() noexcept override;
  bool enqueueRound() override;
  [[nodiscard]] const std::uint32_t* vetoed() const override;

 private:
  void openRound();
  bool finishRound();
  void connect();
  void beginOnLane();
  void openGroup();
  void checkGroup();
  void enqueueMessages();
  void enqueueKernels();
  void count(std::size_t slice);
  void lookAtOthers();
  void decode(std::size_t slice);
  void finish();
  void release();

  [[nodiscard]] const NcclMemory& memory() const { return place_.memory(); }
  [[nodiscard]] std::uint32_t* replayNumber() const;
  /// Where messages travel and are counted.
  [[nodiscard]] CudaStream sideStream() const { return place_.lane == nullptr ? stream_ : place_.lane->stream(); }
  /// In two phases, the slice whose results a round gathers is the one before that whose signs it sends.
  [[nodiscard]] bool hasSigns() const { return round_ < layout_.nslices(); }
  [[nodiscard]] bool hasResults() const { return layout_.schedule() != NcclSchedule::kTwoPhases || round_ > 0; }
  [[nodiscard]] std::size_t resultsSlice() const {
    return layout_.schedule() == NcclSchedule::kTwoPhases ? round_ - 1 : round_;
  }
  [[nodiscard]] bool isDone() const {
    return layout_.nslices() == 0 || (hasResults() && resultsSlice() >= layout_.nslices());
  }

  NcclRank& rank_;
  const Batch batch_;
  const NcclLayout layout_;
  const NcclEnds ends_;
  const NcclPlace place_;
  const CudaStream stream_;

  bool is_set_up_ = false;  ///< the round in which the communicator is made is over
  std::size_t round_ = 0;
  NcclVisit visit_;  ///< from open() to enqueueRound()
  bool is_in_group_ = false;
  bool is_connecting_ = false;
  bool is_on_lane_ = false;
  bool is_finished_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_CALL_H_
