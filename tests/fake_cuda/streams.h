// SPDX-License-Identifier: Apache-2.0
// How operations come onto streams, or into the graph that a stream captures.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_STREAMS_H_
#define SIGNCCL_TESTS_FAKE_CUDA_STREAMS_H_

#include <memory>

#include "fake_cuda/state.h"

namespace fake_cuda {

/// The stream of a handle, which may be a default one. Throws as the driver fails: a stream that is gone, dead or of a
/// dead context, or a default stream while another is captured that waits for it.
std::shared_ptr<CUstream_st> streamOf(Call& call, CUstream_st* handle);

/// Whether it is the current context in which the stream was made. Throws kInvalidHandle if not.
void expectOwn(const Call& call, const CUstream_st& stream);

/// Makes a stream on the next queue of the context's device.
std::shared_ptr<CUstream_st> makeStream(Call& call, CUctx_st& context, bool is_blocking);

/// Puts an operation on a stream, or into the graph that it captures. Gives its completion; null if it was captured.
std::shared_ptr<Completion> enqueue(Call& call, const std::shared_ptr<CUstream_st>& stream, Body body);

/// Puts a task on a stream that captures nothing, after those of the stream and of `after`.
std::shared_ptr<Completion> enqueueTask(const std::shared_ptr<CUstream_st>& stream,
                                        std::vector<std::shared_ptr<Completion>> after, Body body);

/// Throws, and invalidates the capture, if the stream captures: for calls that a capture forbids on its streams.
void expectNotCaptured(const CUstream_st& stream);

/// An operation of a captured graph that follows the stream's tail. Throws kStreamCaptureInvalidated.
void addNode(CUstream_st& stream, Body body);

/// Lets a stream wait for an event of a capture, which brings it into that capture. Throws as the driver fails.
void joinCapture(CUstream_st& stream, const CUevent_st& event);

/// Waits for all that is on the stream. Unlocks meanwhile. Throws the stream's failure.
void waitForStream(Call& call, const std::shared_ptr<CUstream_st>& stream, const char* who);

/// The failure of a stream or its context, or success.
CudaResult resultOf(const CUstream_st& stream);

/// Throws unless `bytes` bytes at the address are memory that a device reaches, or of the host.
void expectMemory(const State& state, std::uintptr_t address, std::size_t bytes);

/// The same when a task comes to use the memory: lets the context die if it is gone. Without a lock.
bool hasMemory(CUctx_st& context, std::uintptr_t address, std::size_t bytes);

}  // namespace fake_cuda

#endif  // SIGNCCL_TESTS_FAKE_CUDA_STREAMS_H_
