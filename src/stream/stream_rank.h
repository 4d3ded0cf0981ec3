// SPDX-License-Identifier: Apache-2.0
// What one rank enqueues on streams of a device: a call is encoded by kernels, exchanged by the communicator in host
// memory, and decoded by kernels, and the stream waits in between. The call returns once everything is enqueued.
//
// A call has a front, which ends where the signs are posted, and a back, which begins with the wait for the results.
// Streams may share a queue of the hardware, where a wait also holds up what other streams enqueued later. So a rank
// enqueues its back only when all ranks of the process have enqueued their fronts.
//
// A call on a stream that is being captured enters a CUDA graph instead. It has memory of its own, which belongs to the
// graph, and its exchanges are those of a ReplayService.
#ifndef SIGNCCL_STREAM_STREAM_RANK_H_
#define SIGNCCL_STREAM_STREAM_RANK_H_

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "device/capture.h"
#include "stream/call_slots.h"
#include "stream/captured_call.h"
#include "stream/misfit_search.h"
#include "stream/replay_service.h"
#include "stream/slice_kernels.h"
#include "stream/slot_ends.h"
#include "stream/stream_device.h"
#include "stream/stream_engine.h"

namespace signccl {

/// Makes the communicator fail after an error of CUDA or of the system: the rank cannot take part in what the others
/// have called.
void failForCuda(Communicator& comm, const std::exception_ptr& error) noexcept;

/// What an exchange of sums has beyond others.
struct StreamSum {
  std::uint32_t trusted = 0;  ///< see SumOfSlots::trusted
  /// Somebody waits for the outcome. Then the exchange's deadline counts from the call on, and the waiting thread
  /// carries it out.
  bool is_awaited = false;
};

/// One exchange between its front and its back.
struct StreamCall {
  CudaStream stream = nullptr;
  EndKernels* kernels = nullptr;
  Batch batch;
  std::vector<SlotSlice> slices;
  std::shared_ptr<const SlotMemory> memory;
  bool has_copy = false;         ///< kernels use the copy of the memory, and the stream copies
  std::uint32_t number = 0;      ///< that posts and answers; of a captured call kSlotSet
  std::uint64_t exchange = 0;    ///< of a call that is not captured
  Operation* awaited = nullptr;  ///< the exchange, if it has a holder
  bool is_of_step = false;
  std::optional<std::size_t> place;  ///< of its slots, of a call that is not captured
  std::optional<StreamCapture> capture;
};

/// One thread at a time.
class StreamRank {
 public:
  /// `comm` must outlive it. `replays`, that of the same rank, must be there whenever a call is enqueued.
  StreamRank(Communicator& comm, ReplayService& replays, std::shared_ptr<StreamDevice> device);
  /// What streams still use stays.
  ~StreamRank();
  StreamRank(const StreamRank&) = delete;
  StreamRank& operator=(const StreamRank&) = delete;

  /// Queues the exchange and enqueues the front; of a captured call no exchange is queued. The segments' sources and
  /// sinks are those that the kernels of `step` work on; without a step, elements in memory that the device reaches. If
  /// it throws signcclUnhandledCudaError or signcclSystemError, the communicator has failed, so that the others do not
  /// wait for this rank; else the call had no effect. enqueueBack() must follow, also where another call of a group has
  /// failed.
  StreamCall enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                          const StreamStep* step);

  /// The same for sums, kMaxSumSegments at most, whose elements are checked before the first signs are posted. Also
  /// throws signcclInvalidUsage if the stream is being captured. If `sum` is awaited, the caller must wait for
  /// StreamCall::awaited, in any case.
  StreamCall enqueueSum(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                        const StreamSum& sum);

  /// After an awaited sum that has not been written: see MisfitSearch::find().
  std::optional<ElementSample> findMisfit(const SummedElements& summed, CudaStream stream);

  /// Throws signcclUnhandledCudaError if the device has failed: a stream would never come to what is enqueued.
  void checkStream(CudaStream stream) const;

  /// Waits until the other ranks of this process have enqueued their fronts, then enqueues the back. If it throws, the
  /// communicator has failed.
  void enqueueBack(StreamCall& call);

  /// Of memory that calls which are not captured hold.
  [[nodiscard]] std::size_t scratchBytes() const;

  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const { return device_; }

 private:
  StreamCall guardedFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                          const StreamStep* step, const StreamSum* sum);
  StreamCall front(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                   const StreamStep* step, const StreamSum* sum);
  [[nodiscard]] StreamCall prepare(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream);
  void beginExchange(StreamCall& call, const ExchangeRules& rules, const StreamStep* step, const StreamSum* sum);
  std::shared_ptr<ExternalEnds> endsOf(const StreamCall& call, const StreamStep* step, const StreamSum* sum) const;
  void takeSlots(StreamCall& call);
  void beginCaptured(StreamCall& call, const ExchangeRules& rules, const StreamStep* step);
  void back(const StreamCall& call);
  void endCall(const StreamCall& call);
  void endFailed(const StreamCall& call) noexcept;
  void encodeSlice(const StreamCall& call, std::size_t slice);
  void decodeSlice(const StreamCall& call, std::size_t slice);

  struct Place {
    CallSlots slots;
    bool is_open = false;  ///< a call that uses them is between its front and its back
  };

  Communicator& comm_;
  ReplayService& replays_;
  const std::shared_ptr<StreamDevice> device_;
  SliceKernels kernels_;
  std::optional<MisfitSearch> search_;  ///< from the first awaited sum on
  std::optional<LastCall> last_call_;   ///< that was not captured
  /// For calls that are not captured. Of those of a group, or of a step, several are between front and back at a time.
  std::vector<Place> places_;
  LastCaptured last_captured_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_STREAM_RANK_H_
