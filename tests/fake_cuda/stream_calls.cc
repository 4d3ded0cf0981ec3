// SPDX-License-Identifier: Apache-2.0
// Streams and events.
#include <chrono>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::expect;
using fake_cuda::Needs;
using fake_cuda::objectOf;

namespace {

std::int64_t nowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

CudaResult cuStreamCreateWithPriority(CudaStream* stream, unsigned int flags, int /*priority*/) {
  return call("cuStreamCreateWithPriority", Needs::kContext, [&](Call& c) {
    expect(flags <= kCudaStreamNonBlocking, CudaResult::kInvalidValue);
    const auto made = makeStream(c, *c.context, flags != kCudaStreamNonBlocking);
    c.state.streams[made.get()] = made;
    *stream = made.get();
  });
}

/// What is on it is carried out nevertheless.
CudaResult cuStreamDestroy_v2(CudaStream stream) {
  return call("cuStreamDestroy_v2", Needs::kContext, [&](Call& c) {
    fake_cuda::expectNotCaptured(*objectOf(c.state.streams, stream));
    c.state.streams.erase(stream);
  });
}

CudaResult cuStreamQuery(CudaStream stream) {
  return call("cuStreamQuery", Needs::kNoCapture, [&](Call& c) {
    const auto found = streamOf(c, stream);
    fake_cuda::expectNotCaptured(*found);
    expect(found->last == nullptr || found->last->isDone(), CudaResult::kNotReady);
  });
}

CudaResult cuStreamSynchronize(CudaStream stream) {
  return call("cuStreamSynchronize", Needs::kNoCapture, [&](Call& c) {
    const auto found = streamOf(c, stream);
    fake_cuda::expectNotCaptured(*found);
    waitForStream(c, found, "cuStreamSynchronize");
  });
}

CudaResult cuStreamGetCtx(CudaStream stream, CudaContext* context) {
  return call("cuStreamGetCtx", Needs::kContext, [&](Call& c) { *context = streamOf(c, stream)->context; });
}

CudaResult cuEventCreate(CudaEvent* event, unsigned int flags) {
  return call("cuEventCreate", Needs::kContext, [&](Call& c) {
    const auto made = std::make_shared<CUevent_st>();
    made->context = c.context;
    made->has_time = (flags & kCudaEventDisableTiming) == 0;
    c.state.events[made.get()] = made;
    *event = made.get();
  });
}

CudaResult cuEventDestroy_v2(CudaEvent event) {
  return call("cuEventDestroy_v2", Needs::kContext, [&](Call& c) {
    objectOf(c.state.events, event);
    c.state.events.erase(event);
  });
}

CudaResult cuEventRecord(CudaEvent event, CudaStream stream) {
  return call("cuEventRecord", Needs::kContext, [&](Call& c) {
    CUevent_st& recorded = *objectOf(c.state.events, event);
    const auto found = streamOf(c, stream);
    expect(found->context == recorded.context, CudaResult::kInvalidHandle);
    recorded.capture = found->capture;
    if (found->capture == nullptr) {
      const auto passed = std::make_shared<std::atomic<std::int64_t>>(0);
      recorded.passed_ns = passed;
      recorded.recorded = enqueue(c, found, [passed](const auto& /*is_cancelled*/) { passed->store(nowNs()); });
      return;
    }
    expect(!found->capture->is_invalidated, CudaResult::kStreamCaptureInvalidated);
    recorded.stream = found.get();
    recorded.tail = found->tail;
  });
}

CudaResult cuEventQuery(CudaEvent event) {
  return call("cuEventQuery", Needs::kNoCapture, [&](Call& c) {
    const CUevent_st& found = *objectOf(c.state.events, event);
    expect(found.capture == nullptr, CudaResult::kCapturedEvent);
    expect(found.recorded == nullptr || found.recorded->isDone(), CudaResult::kNotReady);
  });
}

CudaResult cuEventSynchronize(CudaEvent event) {
  return call("cuEventSynchronize", Needs::kNoCapture, [&](Call& c) {
    const std::shared_ptr<CUevent_st> found = objectOf(c.state.events, event);
    expect(found->capture == nullptr, CudaResult::kCapturedEvent);
    const auto recorded = found->recorded;
    c.lock.unlock();
    if (recorded != nullptr) recorded->wait("cuEventSynchronize");
    c.lock.lock();
    expect(found->context->result.get() == CudaResult::kSuccess, found->context->result.get());
  });
}

CudaResult cuEventElapsedTime(float* milliseconds, CudaEvent start, CudaEvent end) {
  return call("cuEventElapsedTime", Needs::kNoCapture, [&](Call& c) {
    const CUevent_st& first = *objectOf(c.state.events, start);
    const CUevent_st& last = *objectOf(c.state.events, end);
    for (const CUevent_st* event : {&first, &last}) {
      expect(event->has_time && event->recorded != nullptr, CudaResult::kInvalidHandle);
      expect(event->recorded->isDone(), CudaResult::kNotReady);
    }
    *milliseconds = static_cast<float>(last.passed_ns->load() - first.passed_ns->load()) / 1e6F;
  });
}

/// An event that was never recorded holds nothing back.
CudaResult cuStreamWaitEvent(CudaStream stream, CudaEvent event, unsigned int flags) {
  return call("cuStreamWaitEvent", Needs::kContext, [&](Call& c) {
    expect(flags == 0, CudaResult::kInvalidValue);
    const CUevent_st& waited = *objectOf(c.state.events, event);
    const auto found = streamOf(c, stream);
    if (waited.capture != nullptr) {
      fake_cuda::joinCapture(*found, waited);
    } else if (found->capture != nullptr) {
      expect(waited.recorded == nullptr || waited.recorded->isDone(), CudaResult::kStreamCaptureIsolation);
    } else if (waited.recorded != nullptr) {
      fake_cuda::enqueueTask(found, {waited.recorded}, [](const auto& /*is_cancelled*/) {});
    }
  });
}

CudaResult cuLaunchHostFunc(CudaStream stream, CudaHostFunction function, void* argument) {
  return call("cuLaunchHostFunc", Needs::kContext, [&](Call& c) {
    enqueue(c, streamOf(c, stream), [=](const auto& /*is_cancelled*/) { function(argument); });
  });
}

}  // namespace signccl
