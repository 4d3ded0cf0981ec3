// placementOf() of exec/scratch.h where the process has a driver.
#include <gtest/gtest.h>

#include "device/memory.h"
#include "exec/scratch.h"
#include "fake_cuda/fake_cuda_test.h"

namespace signccl {
namespace {

using PlacementTest = FakeCudaTest;

TEST_F(PlacementTest, IsThatOfTheMemory) {
  const auto device = Device::get(0);
  const DeviceMemory memory(device, 512);
  const PinnedMemory pinned(device, 512);
  const int local = 0;
  EXPECT_EQ(placementOf(memory.pointer(), 512), Placement::kDevice);
  EXPECT_EQ(placementOf(pinned.host(), 512), Placement::kPinned);
  EXPECT_EQ(placementOf(&local, sizeof local), Placement::kHost);
}

TEST_F(PlacementTest, ManagedMemoryIsTheHosts) {
  const auto device = Device::get(0);
  const ContextScope scope(*device);
  CudaDevicePointer memory = 0;
  ASSERT_TRUE(succeeds(cuMemAllocManaged(&memory, 512, 1)));
  EXPECT_EQ(placementOf(reinterpret_cast<void*>(memory), 512), Placement::kHost);
}

}  // namespace
}  // namespace signccl
