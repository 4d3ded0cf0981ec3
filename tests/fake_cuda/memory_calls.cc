// SPDX-License-Identifier: Apache-2.0
// Allocation, and what is known of pointers.
#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::Allocation;
using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::expect;
using fake_cuda::Memory;
using fake_cuda::MemoryKind;
using fake_cuda::Needs;

namespace {

std::uintptr_t addressOf(const void* pointer) { return std::bit_cast<std::uintptr_t>(pointer); }

void waitIfAllocationWaits(Call& c, const char* who) {
  if (c.state.config.allocation_waits) waitForDevice(c, c.context->device, who);
}

CudaDevicePointer takeOfDevice(Call& c, MemoryKind kind, std::size_t bytes) {
  expect(bytes > 0, CudaResult::kInvalidValue);
  const int device = c.context->device;
  const std::size_t limit = c.state.config.device_bytes;
  const std::size_t used = c.state.memory.used(device);
  expect(bytes <= limit && used <= limit - bytes, CudaResult::kOutOfMemory);
  const std::uintptr_t address =
      c.state.memory.takeOfDevice({.kind = kind,
                                   .bytes = bytes,
                                   .mapped = bytes,
                                   .device = device,
                                   .context = kind == MemoryKind::kPool ? nullptr : c.context});
  expect(address != 0, CudaResult::kOutOfMemory);
  return address;
}

std::uintptr_t takeOfHost(Call& c, MemoryKind kind, std::size_t bytes) {
  expect(bytes > 0, CudaResult::kInvalidValue);
  const std::uintptr_t address = c.state.memory.takeOfHost(
      {.kind = kind, .bytes = bytes, .mapped = bytes, .device = c.context->device, .context = c.context});
  expect(address != 0, CudaResult::kOutOfMemory);
  return address;
}

/// Gives memory back after all streams of its device are done.
void give(Call& c, std::uintptr_t address, std::initializer_list<MemoryKind> kinds, const char* who) {
  const std::optional<Allocation> allocation = c.state.memory.find(address);
  expect(allocation && allocation->begin == address, CudaResult::kInvalidValue);
  waitForDevice(c, allocation->device, who);
  expect(c.state.memory.give(address, kinds), CudaResult::kInvalidValue);
}

void tell(CudaPointerAttribute attribute, const Allocation* allocation, std::uintptr_t address, void* value) {
  const bool is_known = allocation != nullptr;
  const bool is_host =
      is_known && (allocation->kind == MemoryKind::kPinned || allocation->kind == MemoryKind::kRegistered);
  switch (attribute) {
    case CudaPointerAttribute::kContext:
      *static_cast<CudaContext*>(value) = is_known ? allocation->context : nullptr;
      return;
    case CudaPointerAttribute::kMemoryType:
      *static_cast<CudaMemoryType*>(value) = !is_known ? CudaMemoryType::kUnknown
                                             : is_host ? CudaMemoryType::kHost
                                                       : CudaMemoryType::kDevice;
      return;
    case CudaPointerAttribute::kIsManaged:
      *static_cast<std::uint32_t*>(value) = is_known && allocation->kind == MemoryKind::kManaged ? 1 : 0;
      return;
    case CudaPointerAttribute::kDeviceOrdinal:
      *static_cast<int*>(value) = is_known ? allocation->device : -2;
      return;
    case CudaPointerAttribute::kRangeStart:
      *static_cast<CudaDevicePointer*>(value) = is_known ? allocation->begin : 0;
      return;
    case CudaPointerAttribute::kRangeSize:
      *static_cast<std::size_t*>(value) = is_known ? allocation->bytes : 0;
      return;
    case CudaPointerAttribute::kMapped:
      *static_cast<std::uint32_t*>(value) = is_known && allocation->holds(address, 1) ? 1 : 0;
      return;
  }
  throw fake_cuda::Failure{CudaResult::kInvalidValue};
}

}  // namespace

CudaResult cuPointerGetAttributes(unsigned int count, CudaPointerAttribute* attributes, void** values,
                                  CudaDevicePointer pointer) {
  return call("cuPointerGetAttributes", Needs::kInit, [&](Call& c) {
    const CUctx_st* const context = fake_cuda::currentContext();
    expect(context != nullptr || !c.state.config.pointer_query_needs_context, CudaResult::kInvalidContext);
    if (context != nullptr) expect(context->result.get() == CudaResult::kSuccess, context->result.get());
    const std::optional<Allocation> found = c.state.memory.find(pointer);
    const Allocation* const known = found && context != nullptr ? &*found : nullptr;
    for (unsigned int i = 0; i < count; ++i) tell(attributes[i], known, pointer, values[i]);
  });
}

CudaResult cuMemAlloc_v2(CudaDevicePointer* memory, std::size_t bytes) {
  return call("cuMemAlloc_v2", Needs::kNoCapture, [&](Call& c) {
    waitIfAllocationWaits(c, "cuMemAlloc");
    *memory = takeOfDevice(c, MemoryKind::kDevice, bytes);
  });
}

CudaResult cuMemFree_v2(CudaDevicePointer memory) {
  return call("cuMemFree_v2", Needs::kNoCapture, [&](Call& c) {
    if (memory == 0) return;
    give(c, memory, {MemoryKind::kDevice, MemoryKind::kPool, MemoryKind::kReserved, MemoryKind::kManaged}, "cuMemFree");
  });
}

CudaResult cuMemAllocAsync(CudaDevicePointer* memory, std::size_t bytes, CudaStream stream) {
  return call("cuMemAllocAsync", Needs::kContext, [&](Call& c) {
    fake_cuda::expectNotCaptured(*streamOf(c, stream));
    *memory = takeOfDevice(c, MemoryKind::kPool, bytes);
  });
}

CudaResult cuMemAllocManaged(CudaDevicePointer* memory, std::size_t bytes, unsigned int /*flags*/) {
  return call("cuMemAllocManaged", Needs::kNoCapture,
              [&](Call& c) { *memory = takeOfHost(c, MemoryKind::kManaged, bytes); });
}

CudaResult cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return call("cuMemGetInfo_v2", Needs::kContext, [&](Call& c) {
    *total = c.state.config.device_bytes;
    *free = *total - c.state.memory.used(c.context->device);
  });
}

CudaResult cuMemHostAlloc(void** memory, std::size_t bytes, unsigned int /*flags*/) {
  return call("cuMemHostAlloc", Needs::kNoCapture, [&](Call& c) {
    waitIfAllocationWaits(c, "cuMemHostAlloc");
    *memory = std::bit_cast<void*>(takeOfHost(c, MemoryKind::kPinned, bytes));
  });
}

CudaResult cuMemFreeHost(void* memory) {
  return call("cuMemFreeHost", Needs::kNoCapture,
              [&](Call& c) { give(c, addressOf(memory), {MemoryKind::kPinned}, "cuMemFreeHost"); });
}

CudaResult cuMemHostGetDevicePointer_v2(CudaDevicePointer* address, void* memory, unsigned int flags) {
  return call("cuMemHostGetDevicePointer_v2", Needs::kContext, [&](Call& c) {
    const std::optional<Allocation> found = c.state.memory.find(addressOf(memory));
    expect(flags == 0 && found && !found->isOnDevice(), CudaResult::kInvalidValue);
    *address = addressOf(memory);
  });
}

CudaResult cuMemHostRegister_v2(void* memory, std::size_t bytes, unsigned int /*flags*/) {
  return call("cuMemHostRegister_v2", Needs::kNoCapture, [&](Call& c) {
    expect(bytes > 0 && !Memory::isOfDevice(addressOf(memory)), CudaResult::kInvalidValue);
    expect(c.state.memory.registerHost({.kind = MemoryKind::kRegistered,
                                        .begin = addressOf(memory),
                                        .bytes = bytes,
                                        .mapped = bytes,
                                        .device = c.context->device,
                                        .context = c.context}),
           CudaResult::kInvalidValue);
  });
}

CudaResult cuMemHostUnregister(void* memory) {
  return call("cuMemHostUnregister", Needs::kNoCapture,
              [&](Call& c) { give(c, addressOf(memory), {MemoryKind::kRegistered}, "cuMemHostUnregister"); });
}

}  // namespace signccl
