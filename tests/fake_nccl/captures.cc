// SPDX-License-Identifier: Apache-2.0
#include "fake_nccl/captures.h"

#include "fake_cuda/driver_api.h"
#include "fake_nccl/state.h"

namespace fake_nccl {
namespace {

/// The graph that held a task is gone.
void dropTask(void* number) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  const auto found = all.tasks.find(number);
  if (found == all.tasks.end()) return;
  --found->second->comm->ngraphs;
  all.tasks.erase(found);
  all.changed.notify_all();
}

}  // namespace

signccl::CudaGraph graphOf(CudaStream stream) {
  signccl::CudaCaptureStatus status{};
  signccl::CudaGraph graph = nullptr;
  unsigned long long id = 0;
  const auto result = signccl::cuStreamGetCaptureInfo_v2(stream, &status, &id, &graph, nullptr, nullptr);
  return result == signccl::CudaResult::kSuccess && status == signccl::CudaCaptureStatus::kActive ? graph : nullptr;
}

bool giveToGraph(signccl::CudaGraph graph, void* number) {
  signccl::CudaUserObject object = nullptr;
  if (signccl::cuUserObjectCreate(&object, number, dropTask, 1, signccl::kCudaUserObjectNoDestructorSync) !=
      signccl::CudaResult::kSuccess) {
    return false;
  }
  if (signccl::cuGraphRetainUserObject(graph, object, 1, signccl::kCudaGraphUserObjectMove) ==
      signccl::CudaResult::kSuccess) {
    return true;
  }
  signccl::cuUserObjectRelease(object, 1);
  return false;
}

}  // namespace fake_nccl
