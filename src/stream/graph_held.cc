// SPDX-License-Identifier: Apache-2.0
#include "stream/graph_held.h"

#include "device/driver_error.h"

namespace signccl {
namespace {

/// Called by a thread of the driver, in which CUDA must not be called.
void dropCall(void* held) noexcept {
  const std::unique_ptr<std::shared_ptr<GraphHeld>> call(static_cast<std::shared_ptr<GraphHeld>*>(held));
  (*call)->drop();
}

}  // namespace

void giveToGraph(const Device& device, CudaGraph graph, const std::shared_ptr<GraphHeld>& call) {
  const CudaDriver& driver = device.driver();
  auto held = std::make_unique<std::shared_ptr<GraphHeld>>(call);
  CudaUserObject object = nullptr;
  checkCuda(driver, driver.cuUserObjectCreate(&object, held.get(), dropCall, 1, kCudaUserObjectNoDestructorSync),
            "cuUserObjectCreate", "on ", device);
  held.release();  // NOLINT(bugprone-unused-return-value): the object has it
  const CudaResult retained = driver.cuGraphRetainUserObject(graph, object, 1, kCudaGraphUserObjectMove);
  if (retained == CudaResult::kSuccess) return;
  driver.cuUserObjectRelease(object, 1);
  checkCuda(driver, retained, "cuGraphRetainUserObject", "on ", device);
}

}  // namespace signccl
