// SPDX-License-Identifier: Apache-2.0
// Makes memory or threads run out at a chosen moment, for tests of what a library does then.
#ifndef SIGNCCL_TESTS_SUPPORT_FAILING_MEMORY_H_
#define SIGNCCL_TESTS_SUPPORT_FAILING_MEMORY_H_

namespace signccl {

/// While an object lives, call number `n` (from 1) of operator new in this thread throws std::bad_alloc, once. A
/// program that uses this replaces operator new; not under sanitizers, which have their own.
class FailingMemory {
 public:
  explicit FailingMemory(int n);
  ~FailingMemory();
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  /// Whether a call has failed.
  [[nodiscard]] static bool hasFailed();
};

/// The same for pthread_create(), which returns EAGAIN, in any thread.
class FailingThreads {
 public:
  explicit FailingThreads(int n);
  ~FailingThreads();
  FailingThreads(const FailingThreads&) = delete;
  FailingThreads& operator=(const FailingThreads&) = delete;

  [[nodiscard]] static bool hasFailed();
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_FAILING_MEMORY_H_
