// SPDX-License-Identifier: Apache-2.0
// What carries out calls on the streams of a device: an exchange through pinned memory over the transport of the host,
// or NCCL.
#ifndef SIGNCCL_STREAM_STREAM_ENGINE_H_
#define SIGNCCL_STREAM_STREAM_ENGINE_H_

#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "device/driver_types.h"

namespace signccl {

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
};

/// Of one rank and one device. One thread at a time.
class StreamEngine {
 public:
  virtual ~StreamEngine() = default;

  /// Queues the exchange and enqueues what leads to the signs of this rank. Waits for no other rank. The segments'
  /// sources and sinks are elements in memory that the device reaches. If it throws signcclUnhandledCudaError or
  /// signcclSystemError, or after the exchange was queued, the communicator has failed, so that the others do not wait
  /// for this rank; else the call had no effect.
  virtual std::unique_ptr<EngineCall> enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                                   CudaStream stream) = 0;
};

/// Enqueues the backs of calls of different ranks. The errors of the calls, [call], null for those that went well.
std::vector<std::exception_ptr> enqueueBacks(std::span<EngineCall* const> calls);

}  // namespace signccl

#endif  // SIGNCCL_STREAM_STREAM_ENGINE_H_
