// SPDX-License-Identifier: Apache-2.0
#include "api/stream_sum.h"

#include <chrono>
#include <exception>
#include <memory>

namespace signccl {
namespace {

/// How often the device is asked whether it has failed.
constexpr std::chrono::milliseconds kDevicePeriod{100};

/// Until the operation is done. A device that fails makes the communicator fail, which ends the operation.
void awaitExchange(CommHandle& comm, const StreamRank& streams, const Operation& operation, CudaStream stream) {
  while (!comm.comm->isDoneWithin(operation, kDevicePeriod)) {
    try {
      streams.checkStream(stream);
    } catch (...) {
      failForCuda(*comm.comm, std::current_exception());
      return;
    }
  }
}

}  // namespace

StreamSum streamSumOf(std::span<const SumCall> sums) {
  StreamSum sum;
  for (const SumCall& call : sums) {
    if (call.outcome == nullptr) {
      sum.trusted |= std::uint32_t{1} << call.segment;
    } else {
      sum.is_awaited = true;
    }
  }
  return sum;
}

void enqueueSum(CommHandle& comm, CheckedCollective& checked) {
  StreamRank& streams = comm.streamsOf(checked.place.device);
  checked.segment.call = comm.comm->nextCallNumber();
  Operation* awaited = nullptr;
  const std::unique_ptr<EngineCall> call = SlotEngine(streams).enqueueSum(
      checked.rules, {&checked.segment, 1}, checked.place.stream, streamSumOf({&*checked.sum, 1}), awaited);
  comm.comm->takeCallNumber();
  EngineCall* const calls[] = {call.get()};
  const std::exception_ptr error = enqueueBacks(calls).front();
  if (awaited != nullptr) {
    // If the back has failed, so has the communicator, which ends the exchange.
    awaitExchange(comm, streams, *awaited, checked.place.stream);
    comm.wait(*awaited, error ? std::nullopt : checked.sum);
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace signccl
