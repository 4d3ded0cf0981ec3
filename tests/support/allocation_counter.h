// SPDX-License-Identifier: Apache-2.0
// Counts what a program allocates, for tests of code that must not, and has it fail.
#ifndef SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
#define SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_

#include <cstddef>
#include <functional>

namespace signccl {

/// Calls of operator new in this program so far, by any thread. Stays 0 under sanitizers, which have an operator of
/// their own. A program that uses this function counts, others do not.
std::size_t allocationCount();

/// Has the n-th call of operator new of this thread from now on, 1 being the next, throw std::bad_alloc; 0: none. Calls
/// before and after it are not affected. No effect under sanitizers.
void failAllocation(std::size_t n);

/// Runs `body`, during which every call of operator new of this thread fails. No effect under sanitizers.
void withoutMemory(const std::function<void()>& body);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
