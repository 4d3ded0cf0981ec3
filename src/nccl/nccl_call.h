// SPDX-License-Identifier: Apache-2.0
// One call over NCCL, and the rounds in which it is enqueued: for each slice messages, then kernels.
//
//   one shot:    gather the signs of all ranks; count, decide and decode
//   two phases:  send each rank the signs of its chunk; count and decide; gather the results; decode
//
// A call that is captured enters a CUDA graph, and every replay does all of it anew.
//
// In a call of a step the ranks also learn, with what they gather for the first slice, whether one of them vetoes, and in
// a replay, whether all are replaying the same.
#ifndef SIGNCCL_NCCL_NCCL_CALL_H_
#define SIGNCCL_NCCL_NCCL_CALL_H_

#include <memory>
#include <optional>

#include "device/capture.h"
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
  void openGroup();
  void checkGroup();
  void enqueueMessages();
  void gatherSigns(const WordRange& slice);
  void scatterSigns(const WordRange& slice);
  void gatherResults(const WordRange& slice);
  void gatherWord(const void* word, std::size_t offset, const char* what);
  void enqueueKernels();
  void count(const WordRange& slice);
  void lookAtOthers();
  void decode(const WordRange& slice);
  void finish();
  void release();
  [[nodiscard]] const NcclMemory& memory() const { return place_.memory(); }
  [[nodiscard]] std::uint32_t* replayNumber() const;

  NcclRank& rank_;
  const Batch batch_;
  const NcclLayout layout_;
  const NcclEnds ends_;
  const NcclPlace place_;
  const CudaStream stream_;

  bool is_set_up_ = false;  ///< the round in which the communicator is made is over
  std::size_t slice_ = 0;
  bool is_counted_ = false;  ///< of two phases the first is over
  NcclVisit visit_;          ///< from open() to enqueueRound()
  bool is_in_group_ = false;
  bool is_finished_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_CALL_H_
