// SPDX-License-Identifier: Apache-2.0
// CUDA graphs for programs that measure on GPUs.
#ifndef SIGNCCL_PERF_CUDA_GRAPH_H_
#define SIGNCCL_PERF_CUDA_GRAPH_H_

#include <functional>

#include "device/driver_types.h"

namespace signccl::perf {

/// What a stream was given, to be launched any number of times. With the current context of the stream's device.
class Graph {
 public:
  /// Captures what `enqueue` puts on the stream, which is not carried out. Throws NoCuda, and what `enqueue` throws;
  /// the capture has ended then.
  Graph(CudaStream stream, const std::function<void()>& enqueue);
  /// Launches that are under way go on.
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Enqueues everything once. Throws NoCuda.
  void launch(CudaStream stream) const;

 private:
  CudaGraphExec exec_ = nullptr;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_CUDA_GRAPH_H_
