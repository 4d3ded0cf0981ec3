// SPDX-License-Identifier: Apache-2.0
// What the handles of the fake driver stand for. The lock of the state guards all but the atomic members.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_OBJECTS_H_
#define SIGNCCL_TESTS_FAKE_CUDA_OBJECTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fake_cuda/fake_cuda.h"
#include "fake_cuda/queue.h"

namespace fake_cuda {

/// A result that stays: success, or the first failure.
class StickyResult {
 public:
  [[nodiscard]] CudaResult get() const noexcept { return result_.load(std::memory_order_acquire); }
  void fail(CudaResult result) noexcept {
    CudaResult success = CudaResult::kSuccess;
    result_.compare_exchange_strong(success, result, std::memory_order_acq_rel);
  }
  void renew() noexcept { result_.store(CudaResult::kSuccess, std::memory_order_release); }

 private:
  std::atomic<CudaResult> result_{CudaResult::kSuccess};
};

/// What a graph keeps alive.
struct UserObject {
  void* pointer = nullptr;
  signccl::CudaHostFunction destroy = nullptr;
  std::size_t references = 0;
};

/// An operation of a graph.
struct Node {
  Body body;
  std::vector<std::size_t> after;  ///< indices of nodes
  std::size_t branch = 0;          ///< which of the captured streams it was put on
};

}  // namespace fake_cuda

struct CUuserObject_st : fake_cuda::UserObject {};

struct CUgraph_st {
  std::vector<fake_cuda::Node> nodes;
  std::size_t branches = 1;
  std::vector<CUuserObject_st*> kept;  ///< one entry for each reference
};

namespace fake_cuda {

/// A capture under way.
struct Capture {
  unsigned long long id = 0;
  signccl::CudaCaptureMode mode{};
  std::thread::id thread;
  CUstream_st* origin = nullptr;
  std::unique_ptr<CUgraph_st> graph;
  bool is_invalidated = false;
  std::set<CUstream_st*> streams;   ///< the origin, and those that its events brought in
  std::set<CUstream_st*> unjoined;  ///< brought in, with operations that the origin does not wait for yet
};

}  // namespace fake_cuda

struct CUctx_st {
  int device = 0;
  bool is_primary = false;
  int users = 0;  ///< of a primary context; others have one until they are destroyed
  fake_cuda::StickyResult result;
  std::shared_ptr<CUstream_st> legacy;
};

struct CUstream_st {
  CUctx_st* context = nullptr;
  fake_cuda::Queue* queue = nullptr;
  bool is_blocking = true;  ///< whether the legacy stream and it wait for each other
  fake_cuda::StickyResult result;
  std::shared_ptr<fake_cuda::Completion> last;  ///< of its latest task; null before the first
  fake_cuda::Capture* capture = nullptr;
  std::vector<std::size_t> tail;  ///< nodes that the next captured one waits for
  std::size_t branch = 0;
};

struct CUevent_st {
  CUctx_st* context = nullptr;
  bool has_time = false;
  std::shared_ptr<fake_cuda::Completion> recorded;       ///< null before the first record
  std::shared_ptr<std::atomic<std::int64_t>> passed_ns;  ///< when the stream came to the last record
  fake_cuda::Capture* capture = nullptr;                 ///< in which it was recorded last, if in one
  CUstream_st* stream = nullptr;                         ///< on which it was captured
  std::vector<std::size_t> tail;                         ///< nodes that it stands for then
};

struct CUgraphExec_st {
  CUctx_st* context = nullptr;
  std::vector<fake_cuda::Node> nodes;
  std::vector<std::shared_ptr<CUstream_st>> branches;  ///< streams of all branches but the first
  std::vector<CUuserObject_st*> kept;
  std::shared_ptr<fake_cuda::Completion> last;  ///< of its latest launch
};

struct CUlib_st {
  std::vector<std::unique_ptr<CUkern_st>> kernels;
};

struct CUkern_st {
  std::string name;
  std::size_t argument_bytes = 0;
  fake_cuda::KernelFunction function = nullptr;
  std::set<const CUctx_st*> loaded;  ///< contexts that have its code
};

#endif  // SIGNCCL_TESTS_FAKE_CUDA_OBJECTS_H_
