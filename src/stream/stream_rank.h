// What one rank enqueues on streams of a device: a call is encoded by kernels, exchanged by the communicator in host
// memory, and decoded by kernels, and the stream waits in between. The call returns once everything is enqueued.
//
// A call has a front, which ends where the signs are posted, and a back, which begins with the wait for the results.
// Streams may share a queue of the hardware, where a wait also holds up what other streams enqueued later. So a rank
// enqueues its back only when all ranks of the process have enqueued their fronts.
#ifndef SIGNCCL_STREAM_STREAM_RANK_H_
#define SIGNCCL_STREAM_STREAM_RANK_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "stream/slice_kernels.h"
#include "stream/slot_ends.h"
#include "stream/stream_device.h"

namespace signccl {

/// Makes the communicator fail after an error of CUDA or of the system: the rank cannot take part in what the others
/// have called.
void failForCuda(Communicator& comm, const std::exception_ptr& error) noexcept;

/// What an exchange is that belongs to a step of an optimizer.
struct StreamStep {
  EndKernels& kernels;            ///< must stay until the back is enqueued
  std::int64_t first_tensor = 0;  ///< see Submission::first_tensor
  /// This rank vetoes, see Batch::vetoes, if the word is not 0 once the signs are there.
  std::shared_ptr<const std::atomic<std::uint32_t>> veto;
};

/// One exchange between its front and its back.
struct StreamCall {
  CudaStream stream = nullptr;
  EndKernels* kernels = nullptr;
  Batch batch;
  std::shared_ptr<const SlotMemory> memory;
  std::shared_ptr<SlotEnds> ends;
  bool has_copy = false;     ///< kernels use the copy of the memory, and the stream copies
  std::uint32_t number = 0;  ///< of its slots
  std::size_t place = 0;     ///< which memory of the rank it uses
  std::uint64_t exchange = 0;
};

/// One thread at a time.
class StreamRank {
 public:
  /// `comm` must outlive it.
  StreamRank(Communicator& comm, std::shared_ptr<StreamDevice> device);
  /// What streams still use stays.
  ~StreamRank();
  StreamRank(const StreamRank&) = delete;
  StreamRank& operator=(const StreamRank&) = delete;

  /// Queues the exchange and enqueues the front. The segments' sources and sinks are those that the kernels of `step`
  /// work on; without a step, elements in memory that the device reaches. If it throws signcclUnhandledCudaError or
  /// signcclSystemError, the communicator has failed, so that the others do not wait for this rank; else the call had
  /// no effect.
  StreamCall enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                          const StreamStep* step = nullptr);

  /// Waits until the other ranks of this process have enqueued their fronts, then enqueues the back. If it throws, the
  /// communicator has failed.
  void enqueueBack(StreamCall& call);

  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const { return device_; }

 private:
  StreamCall front(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                   const StreamStep* step);
  StreamCall prepare(const ExchangeRules& rules, std::span<const Segment> segments, CudaStream stream,
                     const StreamStep* step);
  /// Memory for calls one after the other. Calls of which several are between front and back at a time have a memory
  /// each.
  struct Memory {
    std::shared_ptr<SlotMemory> slots;
    std::vector<std::shared_ptr<const void>> outgrown;  ///< that were too small; streams may still use them
    std::uint32_t last_number = 0;                      ///< of calls in `slots`
    CudaEvent last_call = nullptr;                      ///< recorded behind the back of the last call
    CudaStream last_stream = nullptr;
    bool has_called = false;
    bool is_open = false;  ///< the back of the last call is not enqueued yet
  };

  void refuseCapture(CudaStream stream) const;
  std::size_t freePlace();
  void reserve(StreamCall& call, std::size_t nslots, std::size_t nwords);
  void follow(const StreamCall& call);
  void record(const Memory& memory) const;
  void encodeSlice(const StreamCall& call, std::size_t slice);
  void decodeSlice(const StreamCall& call, std::size_t slice);
  template <typename Enqueue>
  void orFail(const Enqueue& enqueue);

  Communicator& comm_;
  const std::shared_ptr<StreamDevice> device_;
  SliceKernels kernels_;
  std::vector<Memory> memory_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_STREAM_RANK_H_
