// Counts what a program allocates, for tests of code that must not.
#ifndef SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
#define SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_

#include <cstddef>

namespace signccl {

/// Calls of operator new in this program so far, by any thread. Stays 0 under sanitizers, which have an operator of
/// their own. A program that uses this function counts, others do not.
std::size_t allocationCount();

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
