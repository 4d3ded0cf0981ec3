// SPDX-License-Identifier: Apache-2.0
// One call over NCCL, and the rounds in which it is enqueued: for each slice messages, then kernels.
//
//   one shot:    gather the signs of all ranks; count, decide and decode
//   two phases:  send each rank the signs of its chunk; count and decide; gather the results; decode
//
// In a call of a step the ranks also learn, with what they gather for the first slice, whether one of them vetoes.
#ifndef SIGNCCL_NCCL_NCCL_CALL_H_
#define SIGNCCL_NCCL_NCCL_CALL_H_

#include "nccl/nccl_layout.h"
#include "nccl/nccl_rank.h"

namespace signccl {

/// Who encodes and decodes.
struct NcclEnds {
  EndKernels& kernels;
  const std::uint32_t* veto = nullptr;  ///< see StreamStep::device_veto; null: the call belongs to no step
};

/// One thread at a time.
class NcclCall final : public EngineCall {
 public:
  NcclCall(NcclRank& rank, Batch batch, const NcclLayout& layout, const NcclEnds& ends, NcclRoom& room,
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
  void gatherVetoes();
  void enqueueKernels();
  void count(const WordRange& slice);
  void decode(const WordRange& slice);
  void finish();

  NcclRank& rank_;
  const Batch batch_;
  const NcclLayout layout_;
  const NcclEnds ends_;
  NcclRoom& room_;
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
