// SPDX-License-Identifier: Apache-2.0
// What carries out calls on the streams of a device: an exchange through pinned memory over the transport of the host,
// or NCCL.
#ifndef SIGNCCL_STREAM_STREAM_ENGINE_H_
#define SIGNCCL_STREAM_STREAM_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "device/driver_types.h"
#include "stream/end_kernels.h"
#include "stream/stream_device.h"

namespace signccl {

/// What an exchange is that belongs to a step of an optimizer.
struct StreamStep {
  EndKernels& kernels;
  std::int64_t first_tensor = 0;  ///< see Submission::first_tensor
  /// A word in memory that the host shares: not 0, once the signs are there, if this rank vetoes; see Batch::vetoes.
  const std::atomic<std::uint32_t>* veto = nullptr;
  /// The same word in device memory. The 32 bits behind it are 0.
  const std::uint32_t* device_veto = nullptr;
  /// Of all that the step refers to. A graph into which the step is captured holds it, else the exchange does.
  std::shared_ptr<const void> owner;
};

/// One exchange between its front and its back, made by an engine, which outlives it. The back is enqueued in rounds of
/// three steps. A thread that makes calls for several ranks takes a step for all of them before the next one, since the
/// ranks need each other. If a step throws, the communicator has failed.
class EngineCall {
 public:
  virtual ~EngineCall() = default;

  /// Begins a round.
  virtual void open() {}

  /// Follows open(), even if that threw.
  virtual void close() noexcept {}

  /// Ends a round in which open() went well. False if it was the last one.
  virtual bool enqueueRound() = 0;

  /// Of a call of a step, once its back is enqueued: a word that the device reads behind it, and that is not 0 then if
  /// a rank has vetoed. As long as no later call uses the engine.
  [[nodiscard]] virtual const std::uint32_t* vetoed() const = 0;
};

/// Of one rank and one device. One thread at a time.
class StreamEngine {
 public:
  virtual ~StreamEngine() = default;

  /// Queues the exchange and enqueues what leads to the signs of this rank. Waits for no other rank. The segments'
  /// sources and sinks are those that the kernels of `step` work on; where that is null, elements in memory that the
  /// device reaches. If it throws signcclUnhandledCudaError or signcclSystemError, or after the exchange was queued,
  /// the communicator has failed, so that the others do not wait for this rank; else the call had no effect.
  virtual std::unique_ptr<EngineCall> enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                                   CudaStream stream, const StreamStep* step) = 0;

  /// Throws signcclInvalidUsage if the stream is being captured and this engine's calls cannot be; `what` they are, for
  /// the text. With the device's context.
  virtual void checkCapture(CudaStream stream, const char* what) const = 0;

  /// Of what the communicator does not count: replays that it takes no part in, and memory on the device. While no call
  /// is made.
  [[nodiscard]] virtual CommCounters counters() { return {}; }

  [[nodiscard]] virtual const std::shared_ptr<StreamDevice>& device() const = 0;
};

/// Enqueues the backs of calls of different ranks. The errors of the calls, [call], null for those that went well.
std::vector<std::exception_ptr> enqueueBacks(std::span<EngineCall* const> calls);

}  // namespace signccl

#endif  // SIGNCCL_STREAM_STREAM_ENGINE_H_
