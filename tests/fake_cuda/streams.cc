// SPDX-License-Identifier: Apache-2.0
#include "fake_cuda/streams.h"

#include <utility>

namespace fake_cuda {
namespace {

/// The stream that stands for the legacy one in a context.
std::shared_ptr<CUstream_st> legacyStream(Call& call, CUctx_st& context) {
  if (context.legacy == nullptr) context.legacy = makeStream(call, context, true);
  for (const std::unique_ptr<Capture>& capture : call.state.captures) {
    const bool would_wait = capture->origin->context == &context && capture->origin->is_blocking &&
                            capture->mode != signccl::CudaCaptureMode::kRelaxed;
    if (!would_wait) continue;
    capture->is_invalidated = true;
    throw Failure{CudaResult::kStreamCaptureImplicit};
  }
  return context.legacy;
}

/// One for each thread and context.
std::shared_ptr<CUstream_st> perThreadStream(Call& call, CUctx_st& context) {
  thread_local std::map<std::pair<unsigned long long, const CUctx_st*>, std::weak_ptr<CUstream_st>> streams;
  std::weak_ptr<CUstream_st>& known = streams[{call.state.generation, &context}];
  if (std::shared_ptr<CUstream_st> stream = known.lock()) return stream;
  const std::shared_ptr<CUstream_st> stream = makeStream(call, context, true);
  call.state.streams[stream.get()] = stream;
  known = stream;
  return stream;
}

/// What a blocking stream waits for besides itself: the legacy stream, which for its part waits for all of them.
std::vector<std::shared_ptr<Completion>> implicitlyBefore(Call& call, const CUstream_st& stream) {
  std::vector<std::shared_ptr<Completion>> before;
  if (!stream.is_blocking) return before;
  const CUstream_st* const legacy = stream.context->legacy.get();
  const auto add = [&](const CUstream_st& other) {
    if (&other != &stream && other.last != nullptr && !other.last->isDone()) before.push_back(other.last);
  };
  if (legacy != nullptr && &stream != legacy) add(*legacy);
  if (&stream != legacy) return before;
  for (const auto& [handle, other] : call.state.streams) {
    if (other->is_blocking && other->context == stream.context) add(*other);
  }
  return before;
}

}  // namespace

CudaResult resultOf(const CUstream_st& stream) {
  const CudaResult of_context = stream.context->result.get();
  return of_context != CudaResult::kSuccess ? of_context : stream.result.get();
}

std::shared_ptr<CUstream_st> streamOf(Call& call, CUstream_st* handle) {
  std::shared_ptr<CUstream_st> stream;
  if (handle == nullptr || handle == signccl::cudaLegacyStream() || handle == signccl::cudaPerThreadStream()) {
    CUctx_st* const context = currentContext();
    expect(context != nullptr, CudaResult::kInvalidContext);
    stream = handle == signccl::cudaPerThreadStream() ? perThreadStream(call, *context) : legacyStream(call, *context);
  } else {
    stream = objectOf(call.state.streams, handle);
  }
  const CudaResult result = resultOf(*stream);
  expect(result == CudaResult::kSuccess, result);
  return stream;
}

void expectOwn(const Call& call, const CUstream_st& stream) {
  expect(stream.context == call.context, CudaResult::kInvalidHandle);
}

std::shared_ptr<CUstream_st> makeStream(Call& call, CUctx_st& context, bool is_blocking) {
  FakeDevice& device = deviceAt(call.state, context.device);
  const Config& config = call.state.config;
  const auto nqueues = static_cast<std::size_t>(config.queues);
  while (device.queues.size() < nqueues) {
    const std::uint64_t seed = config.seed == 0 ? 0 : config.seed * 1000 + device.queues.size();
    device.queues.push_back(std::make_unique<Queue>(seed));
  }
  auto stream = std::make_shared<CUstream_st>();
  stream->context = &context;
  stream->queue = device.queues[device.streams_made++ % nqueues].get();
  stream->is_blocking = is_blocking;
  return stream;
}

std::shared_ptr<Completion> enqueueTask(const std::shared_ptr<CUstream_st>& stream,
                                        std::vector<std::shared_ptr<Completion>> after, Body body) {
  auto done = std::make_shared<Completion>();
  stream->last = done;
  stream->queue->push({.after = std::move(after),
                       .is_cancelled = [stream] { return resultOf(*stream) != CudaResult::kSuccess; },
                       .body = std::move(body),
                       .done = done});
  return done;
}

std::shared_ptr<Completion> enqueue(Call& call, const std::shared_ptr<CUstream_st>& stream, Body body) {
  if (stream->capture != nullptr) {
    addNode(*stream, std::move(body));
    return nullptr;
  }
  return enqueueTask(stream, implicitlyBefore(call, *stream), std::move(body));
}

void addNode(CUstream_st& stream, Body body) {
  Capture& capture = *stream.capture;
  expect(!capture.is_invalidated, CudaResult::kStreamCaptureInvalidated);
  capture.graph->nodes.push_back({.body = std::move(body), .after = stream.tail, .branch = stream.branch});
  stream.tail = {capture.graph->nodes.size() - 1};
  if (&stream != capture.origin) capture.unjoined.insert(&stream);
}

void expectNotCaptured(const CUstream_st& stream) {
  if (stream.capture == nullptr) return;
  stream.capture->is_invalidated = true;
  throw Failure{CudaResult::kStreamCaptureUnsupported};
}

void waitForStream(Call& call, const std::shared_ptr<CUstream_st>& stream, const char* who) {
  const std::shared_ptr<Completion> last = stream->last;
  if (last != nullptr) {
    call.lock.unlock();
    last->wait(who);
    call.lock.lock();
  }
  const CudaResult result = resultOf(*stream);
  expect(result == CudaResult::kSuccess, result);
}

void expectMemory(const State& state, std::uintptr_t address, std::size_t bytes) {
  const std::optional<Allocation> allocation = state.memory.find(address);
  expect(allocation ? allocation->holds(address, bytes) || !allocation->isOnDevice() : !Memory::isOfDevice(address),
         CudaResult::kInvalidValue);
}

bool hasMemory(CUctx_st& context, std::uintptr_t address, std::size_t bytes) {
  if (!Memory::isOfDevice(address)) return true;
  const State* const state = currentState();
  const std::optional<Allocation> allocation = state == nullptr ? std::nullopt : state->memory.find(address);
  if (allocation && allocation->holds(address, bytes)) return true;
  context.result.fail(CudaResult::kIllegalAddress);
  return false;
}

}  // namespace fake_cuda
