// SPDX-License-Identifier: Apache-2.0
// Copies and fills.
#include <cstring>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::FakeMemory;
using fake_cuda::Memory;
using fake_cuda::Needs;

namespace {

std::uintptr_t addressOf(const void* pointer) { return std::bit_cast<std::uintptr_t>(pointer); }

void* touchable(std::uintptr_t address) { return FakeMemory::translate(std::bit_cast<void*>(address)); }

bool isPageable(Call& c, std::uintptr_t address) {
  return !Memory::isOfDevice(address) && !c.state.memory.find(address);
}

/// Puts a copy on a stream. Where one side is pageable memory it waits until the copy is done, as drivers do.
void copy(Call& c, std::uintptr_t to, std::uintptr_t from, std::size_t bytes, CudaStream handle) {
  const std::shared_ptr<CUstream_st> stream = streamOf(c, handle);
  expectOwn(c, *stream);
  fake_cuda::expectMemory(c.state, to, bytes);
  fake_cuda::expectMemory(c.state, from, bytes);
  const bool has_to_wait = isPageable(c, to) || isPageable(c, from);
  const auto done = enqueue(c, stream, [=, context = stream->context](const auto& /*is_cancelled*/) {
    if (!fake_cuda::hasMemory(*context, to, bytes) || !fake_cuda::hasMemory(*context, from, bytes)) return;
    std::memmove(touchable(to), touchable(from), bytes);
  });
  if (has_to_wait && done != nullptr) waitForStream(c, stream, "a copy of pageable memory");
}

/// Copies and waits until it is done.
void copyNow(Call& c, std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  copy(c, to, from, bytes, nullptr);
  waitForStream(c, fake_cuda::streamOf(c, nullptr), "cuMemcpy");
}

}  // namespace

CudaResult cuMemcpyAsync(CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes, CudaStream stream) {
  return call("cuMemcpyAsync", Needs::kContext, [&](Call& c) { copy(c, to, from, bytes, stream); });
}

CudaResult cuMemcpyHtoDAsync_v2(CudaDevicePointer to, const void* from, std::size_t bytes, CudaStream stream) {
  return call("cuMemcpyHtoDAsync_v2", Needs::kContext, [&](Call& c) { copy(c, to, addressOf(from), bytes, stream); });
}

CudaResult cuMemcpyDtoHAsync_v2(void* to, CudaDevicePointer from, std::size_t bytes, CudaStream stream) {
  return call("cuMemcpyDtoHAsync_v2", Needs::kContext, [&](Call& c) { copy(c, addressOf(to), from, bytes, stream); });
}

CudaResult cuMemcpyHtoD_v2(CudaDevicePointer to, const void* from, std::size_t bytes) {
  return call("cuMemcpyHtoD_v2", Needs::kNoCapture, [&](Call& c) { copyNow(c, to, addressOf(from), bytes); });
}

CudaResult cuMemcpyDtoH_v2(void* to, CudaDevicePointer from, std::size_t bytes) {
  return call("cuMemcpyDtoH_v2", Needs::kNoCapture, [&](Call& c) { copyNow(c, addressOf(to), from, bytes); });
}

CudaResult cuMemsetD8Async(CudaDevicePointer memory, unsigned char value, std::size_t bytes, CudaStream stream) {
  return call("cuMemsetD8Async", Needs::kContext, [&](Call& c) {
    const std::shared_ptr<CUstream_st> found = streamOf(c, stream);
    expectOwn(c, *found);
    fake_cuda::expectMemory(c.state, memory, bytes);
    enqueue(c, found, [=, context = found->context](const auto& /*is_cancelled*/) {
      if (fake_cuda::hasMemory(*context, memory, bytes)) std::memset(touchable(memory), value, bytes);
    });
  });
}

}  // namespace signccl
