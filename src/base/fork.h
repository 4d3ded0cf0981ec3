// SPDX-License-Identifier: Apache-2.0
// Forks of the process: a child has none of its parent's threads, and must leave its parent's communicators alone.
#ifndef SIGNCCL_BASE_FORK_H_
#define SIGNCCL_BASE_FORK_H_

#include <atomic>
#include <cstdint>
#include <memory>

namespace signccl {

/// Number of forks between the process that loaded the library and this one, modulo 256: 0 in the first, 1 in its
/// children. Costs one load. A child made without fork(), such as by a bare clone system call, is not noticed.
[[nodiscard]] std::uint8_t forkDepth() noexcept;

/// Process id of this process or of the ancestor whose forkDepth() was `depth`.
[[nodiscard]] int processAtForkDepth(std::uint8_t depth) noexcept;

/// One `T` for each process: a child after fork() gets a new one at its first call, because a lock in the parent's may
/// have been held by a thread that does not exist in the child. For objects of static life. Nothing is ever destroyed:
/// threads of the user may still run while the process ends. Any thread.
template <typename T>
class PerProcess {
 public:
  constexpr PerProcess() = default;
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() = default;

  /// Throws what making a `T` throws.
  T& get() {
    Instance* const current = instance_.load(std::memory_order_acquire);
    if (current != nullptr && current->depth == forkDepth()) return current->value;
    return renew(current);
  }

 private:
  struct Instance {
    std::uint8_t depth = forkDepth();
    Instance* of_parent = nullptr;  ///< keeps the parent's reachable for tools that look for leaks
    T value;
  };

  T& renew(Instance* outdated) {
    auto fresh = std::make_unique<Instance>();
    fresh->of_parent = outdated;
    if (instance_.compare_exchange_strong(outdated, fresh.get(), std::memory_order_acq_rel)) {
      return fresh.release()->value;
    }
    return outdated->value;  // another thread was first
  }

  std::atomic<Instance*> instance_{nullptr};
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_FORK_H_
