// SPDX-License-Identifier: Apache-2.0
// Memory in which calls find elements, and in which the host writes inputs and reads results: one and the same, or
// memory of a GPU and a copy of it on the host.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_MEMORY_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_MEMORY_H_

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace signccl::perf {

class ElementMemory {
 public:
  ElementMemory() = default;
  virtual ~ElementMemory() = default;
  ElementMemory(const ElementMemory&) = delete;
  ElementMemory& operator=(const ElementMemory&) = delete;

  /// What calls are given.
  [[nodiscard]] virtual std::byte* address() const = 0;

  /// Where the host touches it, at the same offsets.
  [[nodiscard]] virtual std::byte* host() const = 0;

  /// Makes what the host has written there seen by calls. No call uses the memory.
  virtual void publish(std::size_t offset, std::size_t bytes) = 0;

  /// Makes what calls have written there seen by the host. No call uses the memory.
  virtual void fetch(std::size_t offset, std::size_t bytes) = 0;
};

class HostMemory : public ElementMemory {
 public:
  /// Zeros.
  explicit HostMemory(std::size_t bytes) : bytes_(static_cast<std::byte*>(::operator new(bytes, kAlignment))) {
    std::memset(bytes_.get(), 0, bytes);  // the rank that uses the memory touches it first
  }

  [[nodiscard]] std::byte* address() const override { return bytes_.get(); }
  [[nodiscard]] std::byte* host() const override { return bytes_.get(); }
  void publish(std::size_t /*offset*/, std::size_t /*bytes*/) override {}
  void fetch(std::size_t /*offset*/, std::size_t /*bytes*/) override {}

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
  };

  std::unique_ptr<std::byte[], Free> bytes_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_ELEMENT_MEMORY_H_
