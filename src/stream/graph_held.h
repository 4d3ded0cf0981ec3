// SPDX-License-Identifier: Apache-2.0
// What a CUDA graph holds, and how it is told that the graph has gone.
#ifndef SIGNCCL_STREAM_GRAPH_HELD_H_
#define SIGNCCL_STREAM_GRAPH_HELD_H_

#include <atomic>
#include <memory>

#include "device/device.h"

namespace signccl {

/// A call that was captured. The driver gives the graph's hold back in a thread in which CUDA must not be called, so
/// somebody else holds what CUDA has to free.
class GraphHeld {
 public:
  GraphHeld() = default;
  virtual ~GraphHeld() = default;
  GraphHeld(const GraphHeld&) = delete;
  GraphHeld& operator=(const GraphHeld&) = delete;

  /// The graph is gone, and with it all replays. Any thread.
  void drop() noexcept { is_dropped_.store(true, std::memory_order_release); }
  [[nodiscard]] bool isDropped() const noexcept { return is_dropped_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> is_dropped_ = false;
};

/// Makes the graph hold the call, and drop it when the graph and all that came of it are gone and no replay is under
/// way any more. Throws signcclUnhandledCudaError.
void giveToGraph(const Device& device, CudaGraph graph, const std::shared_ptr<GraphHeld>& call);

}  // namespace signccl

#endif  // SIGNCCL_STREAM_GRAPH_HELD_H_
