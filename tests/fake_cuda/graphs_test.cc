// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <thread>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

struct AddArguments {
  std::uint32_t* word;
  std::uint32_t summand;
};

void add(std::uint32_t /*blocks*/, std::uint32_t /*threads*/, const void* arguments) {
  const auto& given = *static_cast<const AddArguments*>(arguments);
  std::atomic_ref(*fake_cuda::FakeMemory::translate(given.word)).fetch_add(given.summand);
}

class FakeGraphTest : public UserTest {
 protected:
  FakeGraphTest() { fake_cuda::registerKernel("test_add_to_word", sizeof(AddArguments), add); }

  static void beginCapture(CudaStream stream, CudaCaptureMode mode = CudaCaptureMode::kGlobal) {
    EXPECT_TRUE(succeeds(cuStreamBeginCapture_v2(stream, mode)));
  }

  /// Ends a capture that went well, and makes its graph ready.
  static CudaGraphExec endCapture(CudaStream stream) {
    CudaGraph graph = nullptr;
    CudaGraphExec exec = nullptr;
    EXPECT_TRUE(succeeds(cuStreamEndCapture(stream, &graph)));
    EXPECT_TRUE(succeeds(cuGraphInstantiateWithFlags(&exec, graph, 0)));
    EXPECT_TRUE(succeeds(cuGraphDestroy(graph)));
    return exec;
  }

  static CudaCaptureStatus statusOf(CudaStream stream) {
    CudaCaptureStatus status{};
    EXPECT_TRUE(succeeds(cuStreamIsCapturing(stream, &status)));
    return status;
  }

  /// The result of ending a capture in which something went wrong.
  static CudaResult failedEnd(CudaStream stream) {
    CudaGraph graph = nullptr;
    const CudaResult result = cuStreamEndCapture(stream, &graph);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(statusOf(stream), CudaCaptureStatus::kNone);
    return result;
  }
};

TEST_F(FakeGraphTest, ThousandReplaysCarryOutWhatWasCaptured) {
  const CudaFunction function = functionNamed("test_add_to_word");
  const CudaStream stream = makeStream();
  const Word counter;
  const Word copy;
  Word turn;
  const CudaDevicePointer memory = allocate(4);
  beginCapture(stream);
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(turn.address(), 0, kCudaWaitEq)})));
  ASSERT_TRUE(succeeds(launch(function, AddArguments{counter.pointer(), 3}, stream)));
  ASSERT_TRUE(succeeds(cuMemcpyAsync(memory, counter.address(), 4, stream)));
  ASSERT_TRUE(succeeds(cuMemcpyAsync(copy.address(), memory, 4, stream)));
  ASSERT_TRUE(succeeds(enqueueOperations(
      stream, {writeOf(turn.address(), 1), waitFor(turn.address(), 2, kCudaWaitEq), writeOf(turn.address(), 0)})));
  const CudaGraphExec exec = endCapture(stream);
  EXPECT_EQ(counter.get(), 0U) << "a capture carries nothing out";
  for (std::uint32_t replay = 1; replay <= 1000; ++replay) ASSERT_TRUE(succeeds(cuGraphLaunch(exec, stream)));
  for (std::uint32_t replay = 1; replay <= 1000; ++replay) {
    while (turn.get() != 1) std::this_thread::yield();
    ASSERT_EQ(copy.get(), 3 * replay);
    turn.set(2);
  }
  EXPECT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(counter.get(), 3000U);
}

TEST_F(FakeGraphTest, ArgumentsAndValuesAreThoseOfTheCapture) {
  const CudaFunction function = functionNamed("test_add_to_word");
  const CudaStream stream = makeStream();
  const Word word;
  AddArguments arguments{word.pointer(), 7};
  void* parameter = &arguments;
  const CudaLaunchConfig config{{1, 1, 1}, {256, 1, 1}, 0, stream, nullptr, 0};
  CudaMemoryOperationParams operation = writeOf(word.address(), 100);
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuStreamBatchMemOp_v2(stream, 1, &operation, 0)));
  ASSERT_TRUE(succeeds(cuLaunchKernelEx(&config, function, &parameter, nullptr)));
  const CudaGraphExec exec = endCapture(stream);
  arguments.summand = 8;
  operation.value = 200;
  ASSERT_TRUE(succeeds(cuGraphLaunch(exec, stream)));
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(word.get(), 107U);
}

TEST_F(FakeGraphTest, CaptureTellsItsStatusNumberAndGraph) {
  const CudaStream stream = makeStream();
  CudaCaptureStatus status = CudaCaptureStatus::kActive;
  unsigned long long first = 0;
  unsigned long long second = 0;
  CudaGraph graph = nullptr;
  ASSERT_TRUE(succeeds(cuStreamGetCaptureInfo_v2(stream, &status, &first, &graph, nullptr, nullptr)));
  EXPECT_EQ(status, CudaCaptureStatus::kNone);
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuStreamGetCaptureInfo_v2(stream, &status, &first, &graph, nullptr, nullptr)));
  EXPECT_EQ(status, CudaCaptureStatus::kActive);
  CudaGraph made = nullptr;
  ASSERT_TRUE(succeeds(cuStreamEndCapture(stream, &made)));
  EXPECT_EQ(made, graph);
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuStreamGetCaptureInfo_v2(stream, &status, &second, nullptr, nullptr, nullptr)));
  EXPECT_NE(second, first);
}

TEST_F(FakeGraphTest, EventsBringOtherStreamsIntoTheCapture) {
  const CudaFunction function = functionNamed("test_add_to_word");
  const CudaStream stream = makeStream();
  const CudaStream other = makeStream();
  const CudaEvent fork = makeEvent();
  const CudaEvent join = makeEvent();
  Word go;
  const Word word;
  beginCapture(stream);
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {writeOf(word.address(), 10)})));
  ASSERT_TRUE(succeeds(cuEventRecord(fork, stream)));
  ASSERT_TRUE(succeeds(cuStreamWaitEvent(other, fork, 0)));
  EXPECT_EQ(statusOf(other), CudaCaptureStatus::kActive);
  ASSERT_TRUE(succeeds(enqueueOperations(other, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(launch(function, AddArguments{word.pointer(), 5}, other)));
  ASSERT_TRUE(succeeds(cuEventRecord(join, other)));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {writeOf(go.address(), 1)})));
  ASSERT_TRUE(succeeds(cuStreamWaitEvent(stream, join, 0)));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(word.address(), 15, kCudaWaitEq)})));
  const CudaGraphExec exec = endCapture(stream);
  EXPECT_EQ(statusOf(other), CudaCaptureStatus::kNone);
  for (int replay = 0; replay < 3; ++replay) {
    go.set(0);
    ASSERT_TRUE(succeeds(cuGraphLaunch(exec, stream)));
    ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
    EXPECT_EQ(word.get(), 15U);
  }
}

TEST_F(FakeGraphTest, StreamThatIsNotJoinedMakesTheCaptureFail) {
  const CudaStream stream = makeStream();
  const CudaStream other = makeStream();
  const CudaEvent fork = makeEvent();
  const Word word;
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuEventRecord(fork, stream)));
  ASSERT_TRUE(succeeds(cuStreamWaitEvent(other, fork, 0)));
  ASSERT_TRUE(succeeds(enqueueOperations(other, {writeOf(word.address(), 1)})));
  EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureUnjoined);
}

TEST_F(FakeGraphTest, CallsThatMayWaitFailAndSpoilTheCapture) {
  const CudaEvent event = makeEvent();
  const CudaStream other = makeStream();
  const auto spoils = [&](auto call) {
    const CudaStream stream = makeStream();
    beginCapture(stream);
    EXPECT_EQ(call(stream), CudaResult::kStreamCaptureUnsupported);
    EXPECT_EQ(statusOf(stream), CudaCaptureStatus::kInvalidated);
    EXPECT_EQ(cuEventRecord(event, stream), CudaResult::kStreamCaptureInvalidated);
    EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureInvalidated);
  };
  CudaDevicePointer memory = 0;
  spoils([&](CudaStream) { return cuMemAlloc_v2(&memory, 512); });
  spoils([&](CudaStream) { return cuEventQuery(event); });
  spoils([&](CudaStream) { return cuStreamQuery(other); });
  spoils([&](CudaStream) { return cuCtxSynchronize(); });
  spoils([&](CudaStream stream) { return cuStreamSynchronize(stream); });
}

TEST_F(FakeGraphTest, GlobalCaptureForbidsThemToOtherThreadsUnlessTheseAreRelaxed) {
  const CudaStream stream = makeStream();
  const CudaEvent event = makeEvent();
  const auto in_other_thread = [&](CudaCaptureMode mode) {
    CudaResult result{};
    std::thread([&] {
      EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
      EXPECT_TRUE(succeeds(cuThreadExchangeStreamCaptureMode(&mode)));
      EXPECT_EQ(mode, CudaCaptureMode::kGlobal) << "what it was before";
      result = cuEventQuery(event);
    }).join();
    return result;
  };
  beginCapture(stream, CudaCaptureMode::kThreadLocal);
  EXPECT_TRUE(succeeds(in_other_thread(CudaCaptureMode::kGlobal)));
  endCapture(stream);
  beginCapture(stream, CudaCaptureMode::kGlobal);
  EXPECT_TRUE(succeeds(in_other_thread(CudaCaptureMode::kRelaxed)));
  EXPECT_EQ(in_other_thread(CudaCaptureMode::kGlobal), CudaResult::kStreamCaptureUnsupported);
  EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureInvalidated);
}

TEST_F(FakeGraphTest, RelaxedCaptureForbidsNothing) {
  const CudaStream stream = makeStream();
  beginCapture(stream, CudaCaptureMode::kRelaxed);
  EXPECT_NE(allocate(512), 0U);
  endCapture(stream);
}

TEST_F(FakeGraphTest, CapturedStreamItselfCannotBeWaitedForEvenIfRelaxed) {
  const CudaStream stream = makeStream();
  beginCapture(stream, CudaCaptureMode::kRelaxed);
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kStreamCaptureUnsupported);
  EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureInvalidated);
}

TEST_F(FakeGraphTest, CapturedEventCannotBeAskedOutside) {
  const CudaStream stream = makeStream();
  const CudaEvent event = makeEvent();
  beginCapture(stream, CudaCaptureMode::kRelaxed);
  ASSERT_TRUE(succeeds(cuEventRecord(event, stream)));
  EXPECT_EQ(cuEventQuery(event), CudaResult::kCapturedEvent);
  endCapture(stream);
}

TEST_F(FakeGraphTest, LegacyStreamCannotBeUsedWhileABlockingStreamIsCaptured) {
  const CudaStream stream = makeStream(0);
  const Word word;
  beginCapture(stream);
  EXPECT_EQ(enqueueOperations(nullptr, {writeOf(word.address(), 1)}), CudaResult::kStreamCaptureImplicit);
  EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureInvalidated);
}

TEST_F(FakeGraphTest, LegacyStreamCannotBeCaptured) {
  EXPECT_EQ(cuStreamBeginCapture_v2(nullptr, CudaCaptureMode::kGlobal), CudaResult::kStreamCaptureUnsupported);
}

/// An object that graphs keep, and how often it was destroyed.
struct Kept {
  Kept() {
    EXPECT_TRUE(succeeds(cuUserObjectCreate(
        &object, &destroyed, [](void* count) { ++*static_cast<std::atomic<int>*>(count); }, 1,
        kCudaUserObjectNoDestructorSync)));
  }
  void awaitEnd() const {
    while (destroyed == 0) std::this_thread::yield();
  }

  CudaUserObject object = nullptr;
  std::atomic<int> destroyed = 0;
};

TEST_F(FakeGraphTest, ObjectsLiveAsLongAsTheGraphsThatKeepThemAndTheirLaunches) {
  const Kept kept;
  const CudaStream stream = makeStream();
  Word go;
  CudaCaptureStatus status{};
  CudaGraph graph = nullptr;
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuStreamGetCaptureInfo_v2(stream, &status, nullptr, &graph, nullptr, nullptr)));
  ASSERT_TRUE(succeeds(cuGraphRetainUserObject(graph, kept.object, 1, kCudaGraphUserObjectMove)));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  const CudaGraphExec exec = endCapture(stream);  // which destroys the graph
  ASSERT_TRUE(succeeds(cuGraphLaunch(exec, stream)));
  ASSERT_TRUE(succeeds(cuGraphExecDestroy(exec)));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(kept.destroyed, 0) << "a launch is under way";
  go.set(1);
  kept.awaitEnd();
  EXPECT_EQ(kept.destroyed, 1);
}

TEST_F(FakeGraphTest, ObjectsOfACaptureThatFailsAreGivenUp) {
  const Kept kept;
  const CudaStream stream = makeStream();
  CudaCaptureStatus status{};
  CudaGraph graph = nullptr;
  beginCapture(stream);
  ASSERT_TRUE(succeeds(cuStreamGetCaptureInfo_v2(stream, &status, nullptr, &graph, nullptr, nullptr)));
  ASSERT_TRUE(succeeds(cuGraphRetainUserObject(graph, kept.object, 1, 0)));
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kStreamCaptureUnsupported);
  EXPECT_EQ(failedEnd(stream), CudaResult::kStreamCaptureInvalidated);
  EXPECT_EQ(kept.destroyed, 0) << "its maker has a reference of its own";
  ASSERT_TRUE(succeeds(cuUserObjectRelease(kept.object, 1)));
  kept.awaitEnd();
}

TEST_F(FakeGraphTest, LaunchesOfOneGraphFollowEachOtherOnAnyStream) {
  const CudaStream stream = makeStream();
  const CudaStream other = makeStream();
  Word go;
  const Word word;
  beginCapture(stream);
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  const CudaGraphExec exec = endCapture(stream);
  ASSERT_TRUE(succeeds(cuGraphLaunch(exec, stream)));
  ASSERT_TRUE(succeeds(cuGraphLaunch(exec, other)));
  ASSERT_TRUE(succeeds(enqueueOperations(other, {writeOf(word.address(), 1)})));
  EXPECT_EQ(cuStreamQuery(other), CudaResult::kNotReady);
  go.set(1);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(other)));
  EXPECT_TRUE(succeeds(cuStreamQuery(stream)));
}

}  // namespace
}  // namespace signccl
