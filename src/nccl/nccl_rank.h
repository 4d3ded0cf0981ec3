// SPDX-License-Identifier: Apache-2.0
// The engine whose exchanges go from device to device by NCCL, on the caller's stream and without the host.
//
// NCCL's communicator is made in the first call: its unique id and what could stand in the way are gathered over the
// control plane, so that a rank that cannot take part fails all of them. Each call is an exchange of the communicator
// like any other: numbered, compared with the calls of the other ranks, and watched, by words that the stream writes.
//
// A call on a stream that is being captured enters a CUDA graph. The ranks compare it at the capture, and NCCL's thread
// watches its replays (nccl_replay.h).
#ifndef SIGNCCL_NCCL_NCCL_RANK_H_
#define SIGNCCL_NCCL_NCCL_RANK_H_

#include <memory>

#include "nccl/nccl_communicator.h"
#include "nccl/nccl_introduction.h"
#include "nccl/nccl_layout.h"
#include "nccl/nccl_memories.h"
#include "nccl/nccl_replay.h"
#include "nccl/nccl_watch.h"
#include "stream/call_slots.h"
#include "stream/slice_kernels.h"
#include "stream/stream_engine.h"

namespace signccl {

class NcclCall;
struct NcclPlace;

class NcclRank final : public StreamEngine {
 public:
  /// `comm` must outlive it. Throws signcclUnhandledCudaError.
  NcclRank(Communicator& comm, std::shared_ptr<StreamDevice> device);
  /// What streams still use stays.
  ~NcclRank() override;
  NcclRank(const NcclRank&) = delete;
  NcclRank& operator=(const NcclRank&) = delete;

  std::unique_ptr<EngineCall> enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                           CudaStream stream, const StreamStep* step) override;
  void checkCapture(CudaStream stream, const char* what) const override;
  [[nodiscard]] CommCounters counters() override;
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const override { return device_; }

  // What its calls use.

  [[nodiscard]] Communicator& comm() const { return comm_; }
  [[nodiscard]] const std::shared_ptr<NcclSwitch>& power() const { return switch_; }
  [[nodiscard]] NcclCommunicator& nccl() const { return *switch_->communicator(); }
  [[nodiscard]] NcclMemories& memories() { return memories_; }
  [[nodiscard]] LastCaptured& lastCaptured() { return last_captured_; }
  /// Lets the lane of a call come after the calls before.
  void followOnLane(const NcclPlace& place);

  /// Whether NCCL's communicator is made; a rank without peers needs none.
  [[nodiscard]] bool isReady() const { return is_ready_; }
  /// Waits for what the ranks tell each other; then all can make the communicator with this id. Throws Error, the same
  /// on every rank if one of them cannot take part.
  [[nodiscard]] NcclUniqueId awaitId();
  /// Waits until what was begun is under way. Then the communicator is ready. Throws Error.
  void settle();

  /// Makes the communicator fail with what an exception says, and throws what it has failed with, which may be older:
  /// NCCL says only that it was aborted then.
  [[noreturn]] void failWith(const std::exception_ptr& error);

 private:
  std::unique_ptr<NcclCall> front(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                                  const StreamStep* step);
  std::unique_ptr<NcclCall> eagerCall(Batch batch, const ExchangeRules& rules, CudaStream stream,
                                      const StreamStep* step);
  std::unique_ptr<NcclCall> capturedCall(Batch batch, const ExchangeRules& rules, CudaStream stream,
                                         const StreamStep* step, const StreamCapture& capture);
  [[nodiscard]] std::shared_ptr<NcclReplay> replayOf(const NcclLayout& layout, std::size_t ncollectives,
                                                     std::uint64_t call, std::shared_ptr<const void> tables);
  [[nodiscard]] NcclLayout layoutOf(const Batch& batch) const;
  void watchReplays();
  NcclCommunicator::Look lookAtReplays();
  [[nodiscard]] NcclIntroduction introduction();
  void connect(NcclIntroduction& introduction);
  void checkParent(const NcclLibrary& nccl) const;

  Communicator& comm_;
  const std::shared_ptr<StreamDevice> device_;
  SliceKernels kernels_;
  NcclMemories memories_;
  std::shared_ptr<NcclSwitch> switch_;
  LastCaptured last_captured_;
  NcclReplays replays_;
  bool is_introduced_ = false;
  bool is_ready_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_RANK_H_
