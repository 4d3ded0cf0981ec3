// SPDX-License-Identifier: Apache-2.0
// One object for each thread, usable until the last instruction of the thread.
#ifndef SIGNCCL_BASE_PER_THREAD_H_
#define SIGNCCL_BASE_PER_THREAD_H_

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace signccl {

/// One `T` for each thread and `Tag`, made at the thread's first call and destroyed when the thread ends. Unlike a
/// thread_local object it may be used later than that, by destructors of objects of static life, which the C library
/// runs last: they get a new one, which is never destroyed.
template <typename T, typename Tag = T>
class PerThread {
 public:
  /// Throws what making a `T` throws; allocates nothing itself.
  static T& get() {
    if (object == nullptr) make();
    return *object;
  }

  /// Null if the thread has none.
  static T* find() noexcept { return object; }

 private:
  /// Destroys the object when the thread ends.
  struct End {
    End() = default;
    ~End() {
      has_ended = true;
      if (T* const ended = std::exchange(object, nullptr)) ended->~T();
    }
    End(const End&) = delete;
    End& operator=(const End&) = delete;
  };

  static void make() {
    object = new (room.data()) T;
    if (has_ended) return;
    [[maybe_unused]] thread_local const End end;
  }

  // Without destructors, so that they can be used at any time.
  alignas(T) static constinit inline thread_local std::array<std::byte, sizeof(T)> room{};
  static constinit inline thread_local T* object = nullptr;
  static constinit inline thread_local bool has_ended = false;
};

}  // namespace signccl

#endif  // SIGNCCL_BASE_PER_THREAD_H_
