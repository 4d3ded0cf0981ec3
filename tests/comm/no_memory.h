// Has a thread run out of memory.
#ifndef SIGNCCL_TESTS_COMM_NO_MEMORY_H_
#define SIGNCCL_TESTS_COMM_NO_MEMORY_H_

#include <functional>

namespace signccl {

/// Runs `body`, during which operator new fails in this thread. Does nothing else under sanitizers, which have an
/// operator of their own.
void withoutMemory(const std::function<void()>& body);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_COMM_NO_MEMORY_H_
