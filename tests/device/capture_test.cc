// SPDX-License-Identifier: Apache-2.0
#include "device/capture.h"

#include <gmock/gmock.h>

#include "device/memory.h"
#include "device/stream.h"
#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

class CaptureTest : public FakeCudaTest {
 protected:
  void beginCapture(CudaCaptureMode mode) { ASSERT_TRUE(succeeds(cuStreamBeginCapture_v2(stream_.handle(), mode))); }
  [[nodiscard]] CudaResult endCapture() {
    CudaGraph graph = nullptr;
    const CudaResult result = cuStreamEndCapture(stream_.handle(), &graph);
    if (graph != nullptr) cuGraphDestroy(graph);
    return result;
  }

  const std::shared_ptr<Device> device_ = Device::get(0);
  const ContextScope scope_{*device_};
  const Stream stream_{device_};
};

TEST_F(CaptureTest, AStreamTellsItsCapture) {
  EXPECT_FALSE(captureOf(*device_, stream_.handle()).has_value());
  unsigned long long first = 0;
  for (int capture = 0; capture < 2; ++capture) {
    beginCapture(CudaCaptureMode::kGlobal);
    const auto found = captureOf(*device_, stream_.handle());
    ASSERT_TRUE(found.has_value());
    EXPECT_NE(found->graph, nullptr);
    EXPECT_NE(found->id, first);
    first = found->id;
    EXPECT_EQ(endCapture(), CudaResult::kSuccess);
    EXPECT_FALSE(captureOf(*device_, stream_.handle()).has_value());
  }
}

TEST_F(CaptureTest, ACaptureThatIsInvalidIsAnErrorThatSaysSo) {
  beginCapture(CudaCaptureMode::kRelaxed);
  EXPECT_EQ(cuStreamSynchronize(stream_.handle()), CudaResult::kStreamCaptureUnsupported);
  const Caught error = caught([&] { static_cast<void>(captureOf(*device_, stream_.handle())); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(error.message, HasSubstr("capture again"));
  EXPECT_EQ(endCapture(), CudaResult::kStreamCaptureInvalidated);
}

TEST_F(CaptureTest, MemoryMayBeMadeAmidACaptureInTheRelaxedModeAlone) {
  beginCapture(CudaCaptureMode::kGlobal);
  {
    const RelaxedCapture relaxed(device_->driver());
    {
      const RelaxedCapture again(device_->driver());
      const PinnedMemory memory(device_, 8);
    }
    const DeviceMemory memory(device_, 8);
  }
  EXPECT_EQ(endCapture(), CudaResult::kSuccess);
  beginCapture(CudaCaptureMode::kGlobal);
  EXPECT_EQ(caught([&] { const PinnedMemory memory(device_, 8); }).code, signcclUnhandledCudaError);
  EXPECT_EQ(endCapture(), CudaResult::kStreamCaptureInvalidated);
}

}  // namespace
}  // namespace signccl
