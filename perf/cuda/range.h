// SPDX-License-Identifier: Apache-2.0
// Named ranges of time for profilers such as Nsight Systems, where the headers of NVTX were found; else nothing.
#ifndef SIGNCCL_PERF_CUDA_RANGE_H_
#define SIGNCCL_PERF_CUDA_RANGE_H_

#include <string>

namespace signccl::perf {

/// From its construction to its destruction, in the thread of both. Ranges of a thread end in the reverse order.
class Range {
 public:
  explicit Range(const std::string& name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_CUDA_RANGE_H_
