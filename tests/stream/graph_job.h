// SPDX-License-Identifier: Apache-2.0
// CUDA graphs as a user makes them: capture, replay, and their end.
#ifndef SIGNCCL_TESTS_STREAM_GRAPH_JOB_H_
#define SIGNCCL_TESTS_STREAM_GRAPH_JOB_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "stream_job.h"

namespace signccl {

/// A communicator of its own comes to the current device and goes: what nobody uses any more is freed by then.
inline void useDeviceOnce() {
  Ranks ranks(1);
  const Stream stream;
  const DeviceBuffer buffer(sizeof(float));
  EXPECT_EQ(callOn({}, buffer.data(), buffer.data(), 1, ranks[0], stream.get()), signcclSuccess);
  stream.synchronize();
}

/// Waits for what threads of the library and of the driver are about to do.
template <typename Condition>
void await(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited 30 s";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Lets `later` wait for what `earlier` has enqueued.
inline void fork(const Stream& earlier, const Stream& later) {
  CudaEvent event = nullptr;
  expectCuda(cuEventCreate(&event, kCudaEventDisableTiming));
  expectCuda(cuEventRecord(event, earlier.get()));
  expectCuda(cuStreamWaitEvent(later.get(), event, 0));
  expectCuda(cuEventDestroy_v2(event));
}

/// Whether nothing of the library is left on a device. If not, uses it once, which frees what is unused.
inline bool isUnused(int device) {
  int is_active = 0;
  unsigned int flags = 0;
  if (cuDevicePrimaryCtxGetState(device, &flags, &is_active) != CudaResult::kSuccess || is_active == 0) return true;
  const CurrentDevice current(device);
  useDeviceOnce();
  return false;
}

/// A test with a hardware queue for each stream, as replays of several ranks of one process need, and several devices.
/// In the end nothing is left of the library on any device.
class GraphTest : public StreamTest {
 protected:
  GraphTest() { begin(0); }
  ~GraphTest() override { awaitUnused(); }
  GraphTest(const GraphTest&) = delete;
  GraphTest& operator=(const GraphTest&) = delete;

  /// Begins again, with delays that `seed` says.
  static void begin(std::uint64_t seed, int queues = 32) {
    awaitUnused();
    fake_cuda::Config config;
    config.devices = kDevices;
    config.queues = queues;
    config.seed = seed;
    StreamTest::begin(config);
  }

 private:
  static constexpr int kDevices = 3;

  static void awaitUnused() {
    for (int device = 0; device < kDevices; ++device) await([&] { return isUnused(device); });
  }
};

/// A graph that can be launched.
class Graph {
 public:
  /// Captures what `enqueue` puts on the stream.
  Graph(const Stream& stream, const std::function<void()>& enqueue,
        CudaCaptureMode mode = CudaCaptureMode::kThreadLocal) {
    expectCuda(cuStreamBeginCapture_v2(stream.get(), mode));
    enqueue();
    CudaGraph graph = nullptr;
    expectCuda(cuStreamEndCapture(stream.get(), &graph));
    if (graph == nullptr) return;
    expectCuda(cuGraphInstantiateWithFlags(&exec_, graph, 0));
    expectCuda(cuGraphDestroy(graph));
  }
  ~Graph() {
    if (exec_ != nullptr) expectCuda(cuGraphExecDestroy(exec_));
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(const Stream& stream) const { expectCuda(cuGraphLaunch(exec_, stream.get())); }

 private:
  CudaGraphExec exec_ = nullptr;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_STREAM_GRAPH_JOB_H_
