// SPDX-License-Identifier: Apache-2.0
// A user's buffer: not aligned, with guards on both sides.
#ifndef SIGNCCL_TESTS_SUPPORT_GUARDED_BUFFER_H_
#define SIGNCCL_TESTS_SUPPORT_GUARDED_BUFFER_H_

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "base/types.h"

namespace signccl {

class GuardedBuffer {
 public:
  /// `size` bytes, `offset` bytes beyond the alignment of operator new.
  explicit GuardedBuffer(std::size_t size = 0, std::size_t offset = 0)
      : size_(size), begin_(kGuardBytes + offset), storage_(begin_ + size + kGuardBytes, kGuard) {}

  [[nodiscard]] std::byte* data() { return storage_.data() + begin_; }
  [[nodiscard]] const std::byte* data() const { return storage_.data() + begin_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] ConstBytes bytes() const { return {data(), size_}; }

  /// True if nobody wrote outside the buffer.
  [[nodiscard]] bool isIntact() const {
    const auto is_guard = [](std::byte b) { return b == kGuard; };
    const std::span<const std::byte> all = storage_;
    return std::ranges::all_of(all.first(begin_), is_guard) &&
           std::ranges::all_of(all.subspan(begin_ + size_), is_guard);
  }

 private:
  static constexpr std::size_t kGuardBytes = 64;
  static constexpr std::byte kGuard{0xA5};

  std::size_t size_;
  std::size_t begin_;
  std::vector<std::byte> storage_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_GUARDED_BUFFER_H_
