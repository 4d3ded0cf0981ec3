// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/gather_buffers.h"

#include <memory>
#include <new>

#include "nccl/back/failure.h"

namespace signccl::nccl_preload {

GatherBuffers::GatherBuffers(int device, int rank, int nranks) : device_(device), rank_(rank), nranks_(nranks) {
  const DeviceScope scope(device);
  const std::size_t bytes = static_cast<std::size_t>(nranks) * sizeof(Introduction);
  void* host = nullptr;
  expectCudaSuccess(cuda().cuMemHostAlloc(&host, bytes, 0), "cuMemHostAlloc");
  host_ = static_cast<Introduction*>(host);
  std::uninitialized_default_construct_n(host_, nranks);
  const CudaResult result = cuda().cuMemAlloc(&memory_, bytes);
  if (result != kCudaSuccess) cuda().cuMemFreeHost(host);
  expectCudaSuccess(result, "cuMemAlloc");
}

GatherBuffers::~GatherBuffers() {
  if (is_in_use_) return;
  try {
    const DeviceScope scope(device_);
    cuda().cuMemFree(memory_);
    cuda().cuMemFreeHost(host_);
  } catch (const Failure&) {
    return;  // the context is gone, and the memory with it
  }
}

void GatherBuffers::upload(Stream stream) {
  const DeviceScope scope(device_);
  is_in_use_ = true;
  expectCudaSuccess(cuda().cuMemcpyHtoDAsync(partAddress(), &host_[rank_], sizeof(Introduction), stream),
                    "cuMemcpyHtoDAsync");
}

void GatherBuffers::download(Stream stream) {
  const DeviceScope scope(device_);
  const std::size_t bytes = static_cast<std::size_t>(nranks_) * sizeof(Introduction);
  expectCudaSuccess(cuda().cuMemcpyDtoHAsync(host_, memory_, bytes, stream), "cuMemcpyDtoHAsync");
}

bool GatherBuffers::isDone(Stream stream) {
  const DeviceScope scope(device_);
  is_in_use_ = !isIdle(stream);
  return !is_in_use_;
}

}  // namespace signccl::nccl_preload
