// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

using FakeEventTest = UserTest;

TEST_F(FakeEventTest, EventThatWasNeverRecordedIsDoneAndHoldsNothingBack) {
  const CudaStream stream = makeStream();
  const CudaEvent event = makeEvent();
  EXPECT_TRUE(succeeds(cuEventQuery(event)));
  EXPECT_TRUE(succeeds(cuStreamWaitEvent(stream, event, 0)));
  EXPECT_TRUE(succeeds(cuStreamQuery(stream)));
}

TEST_F(FakeEventTest, EventIsDoneWhenItsStreamHasComeToIt) {
  const CudaStream stream = makeStream();
  const CudaEvent event = makeEvent();
  Word go;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(cuEventRecord(event, stream)));
  EXPECT_EQ(cuEventQuery(event), CudaResult::kNotReady);
  go.set(1);
  EXPECT_TRUE(succeeds(cuEventSynchronize(event)));
  EXPECT_TRUE(succeeds(cuEventQuery(event)));
}

TEST_F(FakeEventTest, StreamWaitsForTheRecordThatWasTheLastWhenItWasTold) {
  const CudaStream first = makeStream();
  const CudaStream second = makeStream();
  const CudaEvent event = makeEvent();
  Word go;
  Word go_again;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(first, {waitFor(go.address(), 1), writeOf(gone.address(), 1)})));
  ASSERT_TRUE(succeeds(cuEventRecord(event, first)));
  ASSERT_TRUE(succeeds(cuStreamWaitEvent(second, event, 0)));
  ASSERT_TRUE(succeeds(enqueueOperations(second, {waitFor(gone.address(), 1, kCudaWaitEq)})));
  ASSERT_TRUE(succeeds(enqueueOperations(first, {waitFor(go_again.address(), 1)})));
  ASSERT_TRUE(succeeds(cuEventRecord(event, first)));
  EXPECT_EQ(cuStreamQuery(second), CudaResult::kNotReady);
  go.set(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(second)));
  EXPECT_EQ(cuEventQuery(event), CudaResult::kNotReady) << "it was recorded again";
  go_again.set(1);
}

TEST_F(FakeEventTest, TimeBetweenEventsIsThatOfTheStream) {
  const CudaStream stream = makeStream();
  CudaEvent start = nullptr;
  CudaEvent end = nullptr;
  float milliseconds = -1;
  Word go;
  ASSERT_TRUE(succeeds(cuEventCreate(&start, 0)));
  ASSERT_TRUE(succeeds(cuEventCreate(&end, 0)));
  EXPECT_EQ(cuEventElapsedTime(&milliseconds, start, end), CudaResult::kInvalidHandle) << "they were never recorded";
  ASSERT_TRUE(succeeds(cuEventRecord(start, stream)));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(cuEventRecord(end, stream)));
  EXPECT_EQ(cuEventElapsedTime(&milliseconds, start, end), CudaResult::kNotReady);
  EXPECT_TRUE(succeeds(cuEventSynchronize(start)));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  go.set(1);
  EXPECT_TRUE(succeeds(cuEventSynchronize(end)));
  EXPECT_TRUE(succeeds(cuEventElapsedTime(&milliseconds, start, end)));
  EXPECT_GE(milliseconds, 2.0F);
  EXPECT_EQ(cuEventElapsedTime(&milliseconds, makeEvent(), end), CudaResult::kInvalidHandle) << "it keeps no time";
}

TEST_F(FakeEventTest, DestroyedEventIsUnknown) {
  const CudaEvent event = makeEvent();
  ASSERT_TRUE(succeeds(cuEventDestroy_v2(event)));
  EXPECT_EQ(cuEventQuery(event), CudaResult::kInvalidHandle);
  EXPECT_EQ(cuStreamWaitEvent(makeStream(), event, 0), CudaResult::kInvalidHandle);
}

TEST_F(FakeEventTest, EventOfOneContextIsNotRecordedInAnother) {
  const CudaEvent event = makeEvent();
  CudaContext other = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&other, 0, 0)));
  EXPECT_EQ(cuEventRecord(event, makeStream()), CudaResult::kInvalidHandle);
}

}  // namespace
}  // namespace signccl
