// SPDX-License-Identifier: Apache-2.0
#include "support/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/sanitizers.h"

namespace {
std::atomic<std::size_t> allocations = 0;
thread_local std::size_t calls_until_failure = 0;
thread_local bool out_of_memory = false;

[[maybe_unused]] void countCall() {
  ++allocations;
  if (out_of_memory) throw std::bad_alloc();
  if (calls_until_failure == 0) return;
  --calls_until_failure;
  if (calls_until_failure == 0) throw std::bad_alloc();
}
}  // namespace

#if !SIGNCCL_TESTS_SANITIZED
void* operator new(std::size_t size) {
  countCall();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  countCall();
  const auto unit = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace signccl {

std::size_t allocationCount() { return allocations; }

void failAllocation(std::size_t n) { calls_until_failure = n; }

void withoutMemory(const std::function<void()>& body) {
  out_of_memory = true;
  body();
  out_of_memory = false;
}

}  // namespace signccl
