// SPDX-License-Identifier: Apache-2.0
// Groups on streams that are being captured: their tasks belong to CUDA graphs, and the communicators outlive those.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_CAPTURES_H_
#define SIGNCCL_TESTS_FAKE_NCCL_CAPTURES_H_

#include "device/driver_types.h"

namespace fake_nccl {

/// The graph that a stream is captured into, or null. Without the lock.
signccl::CudaGraph graphOf(signccl::CudaStream stream);

/// Lets the graph hold the task with this number, which is dropped with it. Without the lock. False if CUDA fails.
bool giveToGraph(signccl::CudaGraph graph, void* number);

}  // namespace fake_nccl

#endif  // SIGNCCL_TESTS_FAKE_NCCL_CAPTURES_H_
