// SPDX-License-Identifier: Apache-2.0
// Stream memory operations of 32 bits.
#include <atomic>
#include <chrono>
#include <thread>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/streams.h"

namespace signccl {

using fake_cuda::Allocation;
using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::expect;
using fake_cuda::FakeMemory;
using fake_cuda::MemoryKind;
using fake_cuda::Needs;

namespace {

void check(Call& c, const CudaMemoryOperationParams& operation) {
  expect(operation.operation == CudaMemoryOperation::kWaitValue32 ||
             operation.operation == CudaMemoryOperation::kWriteValue32,
         CudaResult::kNotSupported);
  const bool is_wait = operation.operation == CudaMemoryOperation::kWaitValue32;
  expect(operation.flags <= (is_wait ? kCudaWaitEq : 0), CudaResult::kInvalidValue);
  expect(operation.address % 4 == 0, CudaResult::kInvalidValue);
  const std::optional<Allocation> memory = c.state.memory.find(operation.address);
  expect(memory && memory->kind != MemoryKind::kManaged && memory->holds(operation.address, 4),
         CudaResult::kInvalidValue);
}

bool isSatisfied(std::uint32_t word, std::uint32_t value, unsigned int flags) {
  return flags == kCudaWaitEq ? word == value : static_cast<std::int32_t>(word - value) >= 0;
}

/// One operation, when the stream comes to it.
void carryOut(CUctx_st& context, const CudaMemoryOperationParams& operation,
              const std::function<bool()>& is_cancelled) {
  if (!fake_cuda::hasMemory(context, operation.address, 4)) return;
  auto* const word = FakeMemory::translate(std::bit_cast<std::uint32_t*>(std::uintptr_t{operation.address}));
  const std::atomic_ref<std::uint32_t> shared(*word);
  const auto value = static_cast<std::uint32_t>(operation.value);
  if (operation.operation == CudaMemoryOperation::kWriteValue32) {
    shared.store(value, std::memory_order_release);
    return;
  }
  for (int turns = 0; !isSatisfied(shared.load(std::memory_order_acquire), value, operation.flags); ++turns) {
    if (is_cancelled()) return;
    if (turns < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
}

}  // namespace

CudaResult cuStreamBatchMemOp_v2(CudaStream stream, unsigned int count, CudaMemoryOperationParams* operations,
                                 unsigned int flags) {
  return call("cuStreamBatchMemOp_v2", Needs::kContext, [&](Call& c) {
    expect(c.state.config.memory_operations, CudaResult::kNotSupported);
    expect(count <= kCudaMostMemoryOperations && flags == 0, CudaResult::kInvalidValue);
    const auto found = streamOf(c, stream);
    expectOwn(c, *found);
    const std::vector<CudaMemoryOperationParams> copied(operations, operations + count);
    for (const CudaMemoryOperationParams& operation : copied) check(c, operation);
    enqueue(c, found, [copied, context = found->context](const auto& is_cancelled) {
      for (const CudaMemoryOperationParams& operation : copied) carryOut(*context, operation, is_cancelled);
    });
  });
}

CudaResult cuStreamBatchMemOp(CudaStream /*stream*/, unsigned int /*count*/, CudaMemoryOperationParams* /*operations*/,
                              unsigned int /*flags*/) {
  return call("cuStreamBatchMemOp", Needs::kContext, [](Call& /*c*/) { expect(false, CudaResult::kNotSupported); });
}

}  // namespace signccl
