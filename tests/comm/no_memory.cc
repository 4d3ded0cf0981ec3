#include "comm/no_memory.h"

#include <cstdlib>
#include <new>

#include "support/sanitizers.h"

namespace {
/// While true, this thread gets no memory.
thread_local bool out_of_memory = false;
}  // namespace

#if !SIGNCCL_TESTS_SANITIZED
void* operator new(std::size_t size) {
  if (!out_of_memory) {
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace signccl {

void withoutMemory(const std::function<void()>& body) {
  out_of_memory = true;
  body();
  out_of_memory = false;
}

}  // namespace signccl
