// SPDX-License-Identifier: Apache-2.0
// Contexts: the primary ones of devices, those of cuCtxCreate(), and which is current.
#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::contextStack;
using fake_cuda::currentContext;
using fake_cuda::deviceAt;
using fake_cuda::expect;
using fake_cuda::Needs;

namespace {

/// Whether the handle is one of a context that lives.
CUctx_st& liveContext(Call& c, CUctx_st* context) {
  expect(context != nullptr, CudaResult::kInvalidContext);
  bool is_known = false;
  for (const auto& device : c.state.devices) is_known = is_known || &device->primary == context;
  for (const CUctx_st& other : c.state.contexts) is_known = is_known || &other == context;
  expect(is_known, CudaResult::kInvalidContext);
  expect(context->users > 0, CudaResult::kContextIsDestroyed);
  return *context;
}

/// Drops what the context's streams still have, and everything in it.
void destroy(Call& c, CUctx_st& context) {
  context.result.fail(CudaResult::kContextIsDestroyed);
  waitForDevice(c, context.device, "the end of a context");
  std::erase_if(c.state.captures, [&](const auto& capture) { return capture->origin->context == &context; });
  std::erase_if(c.state.streams, [&](const auto& entry) { return entry.second->context == &context; });
  std::erase_if(c.state.events, [&](const auto& entry) { return entry.second->context == &context; });
  context.legacy.reset();
  c.state.memory.giveAllOf(&context);
}

}  // namespace

CudaResult cuDevicePrimaryCtxRetain(CudaContext* context, CudaDevice device) {
  return call("cuDevicePrimaryCtxRetain", Needs::kInit, [&](Call& c) {
    CUctx_st& primary = deviceAt(c.state, device).primary;
    if (primary.users == 0) primary.result.renew();
    ++primary.users;
    *context = &primary;
  });
}

CudaResult cuDevicePrimaryCtxRelease_v2(CudaDevice device) {
  return call("cuDevicePrimaryCtxRelease_v2", Needs::kInit, [&](Call& c) {
    CUctx_st& primary = deviceAt(c.state, device).primary;
    expect(primary.users > 0, CudaResult::kInvalidContext);
    if (primary.users == 1) destroy(c, primary);
    --primary.users;
  });
}

CudaResult cuDevicePrimaryCtxGetState(CudaDevice device, unsigned int* flags, int* active) {
  return call("cuDevicePrimaryCtxGetState", Needs::kInit, [&](Call& c) {
    *flags = 0;
    *active = deviceAt(c.state, device).primary.users > 0 ? 1 : 0;
  });
}

CudaResult cuCtxCreate_v2(CudaContext* context, unsigned int /*flags*/, CudaDevice device) {
  return call("cuCtxCreate_v2", Needs::kInit, [&](Call& c) {
    deviceAt(c.state, device);
    CUctx_st& made = c.state.contexts.emplace_back();
    made.device = device;
    made.users = 1;
    contextStack().push_back(&made);
    *context = &made;
  });
}

CudaResult cuCtxDestroy_v2(CudaContext context) {
  return call("cuCtxDestroy_v2", Needs::kInit, [&](Call& c) {
    CUctx_st& live = liveContext(c, context);
    expect(!live.is_primary, CudaResult::kInvalidContext);
    if (currentContext() == context) contextStack().pop_back();
    destroy(c, live);
    live.users = 0;
  });
}

CudaResult cuCtxPushCurrent_v2(CudaContext context) {
  return call("cuCtxPushCurrent_v2", Needs::kInit,
              [&](Call& c) { contextStack().push_back(&liveContext(c, context)); });
}

CudaResult cuCtxPopCurrent_v2(CudaContext* context) {
  return call("cuCtxPopCurrent_v2", Needs::kInit, [&](Call& /*c*/) {
    expect(!contextStack().empty(), CudaResult::kInvalidContext);
    if (context != nullptr) *context = contextStack().back();
    contextStack().pop_back();
  });
}

CudaResult cuCtxSetCurrent(CudaContext context) {
  return call("cuCtxSetCurrent", Needs::kInit, [&](Call& c) {
    if (!contextStack().empty()) contextStack().pop_back();
    if (context != nullptr) contextStack().push_back(&liveContext(c, context));
  });
}

CudaResult cuCtxGetCurrent(CudaContext* context) {
  return call("cuCtxGetCurrent", Needs::kInit, [&](Call& /*c*/) { *context = currentContext(); });
}

CudaResult cuCtxGetDevice(CudaDevice* device) {
  return call("cuCtxGetDevice", Needs::kContext, [&](Call& c) { *device = c.context->device; });
}

CudaResult cuCtxSynchronize() {
  return call("cuCtxSynchronize", Needs::kNoCapture, [&](Call& c) {
    waitForDevice(c, c.context->device, "cuCtxSynchronize");
    expect(c.context->result.get() == CudaResult::kSuccess, c.context->result.get());
  });
}

}  // namespace signccl
