// SPDX-License-Identifier: Apache-2.0
// Memory for one all-gather of introductions: pinned, from where copies go and come without blocking, and of the
// device, which is what NCCL takes.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_GATHER_BUFFERS_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_GATHER_BUFFERS_H_

#include <cstddef>
#include <span>

#include "nccl/back/cuda.h"
#include "nccl/back/introduction.h"

namespace signccl::nccl_preload {

class GatherBuffers {
 public:
  /// Throws Failure.
  GatherBuffers(int device, int rank, int nranks);
  /// What a stream may still use stays allocated: freeing would wait for the stream.
  ~GatherBuffers();
  GatherBuffers(const GatherBuffers&) = delete;
  GatherBuffers& operator=(const GatherBuffers&) = delete;

  [[nodiscard]] std::span<Introduction> introductions() const { return {host_, static_cast<std::size_t>(nranks_)}; }

  /// Enqueues the copy of this rank's introduction to the device.
  void upload(Stream stream);
  /// Enqueues the copy of all introductions to the host.
  void download(Stream stream);
  /// Whether the stream has done all that was enqueued. Throws Failure for what has failed on it.
  bool isDone(Stream stream);

  [[nodiscard]] const void* part() const { return reinterpret_cast<const void*>(partAddress()); }
  [[nodiscard]] void* all() const { return reinterpret_cast<void*>(memory_); }
  [[nodiscard]] std::size_t words() const { return sizeof(Introduction) / sizeof(std::uint64_t); }
  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int nranks() const noexcept { return nranks_; }

 private:
  [[nodiscard]] DeviceAddress partAddress() const {
    return memory_ + static_cast<std::size_t>(rank_) * sizeof(Introduction);
  }

  int device_;
  int rank_;
  int nranks_;
  Introduction* host_ = nullptr;
  DeviceAddress memory_ = 0;
  bool is_in_use_ = false;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_GATHER_BUFFERS_H_
