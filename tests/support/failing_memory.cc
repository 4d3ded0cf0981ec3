// SPDX-License-Identifier: Apache-2.0
#include "support/failing_memory.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
#include <pthread.h>

namespace {

thread_local int allocations_left = 0;  // 0: no call fails
thread_local bool allocation_failed = false;
std::atomic<int> threads_left = 0;
std::atomic<bool> thread_failed = false;

bool isTheOneToFail() {
  if (allocations_left == 0) return false;
  --allocations_left;
  if (allocations_left > 0) return false;
  allocation_failed = true;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (isTheOneToFail()) throw std::bad_alloc();
  void* const memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                              void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left > 0) {
    --threads_left;
    thread_failed = threads_left == 0;
    if (thread_failed) return EAGAIN;
  }
  return real(thread, attributes, body, argument);
}

namespace signccl {

FailingMemory::FailingMemory(int n) {
  allocation_failed = false;
  allocations_left = n;
}
FailingMemory::~FailingMemory() { allocations_left = 0; }
bool FailingMemory::hasFailed() { return allocation_failed; }

FailingThreads::FailingThreads(int n) {
  thread_failed = false;
  threads_left = n;
}
FailingThreads::~FailingThreads() { threads_left = 0; }
bool FailingThreads::hasFailed() { return thread_failed; }

}  // namespace signccl
