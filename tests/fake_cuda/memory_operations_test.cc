// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

using FakeMemoryOperationsTest = UserTest;

TEST_F(FakeMemoryOperationsTest, WaitComparesAroundTheEndOfTheNumbers) {
  const CudaStream stream = makeStream();
  const Word word(3);
  for (const std::uint32_t passed : {3U, 2U, 0U, 0xFFFFFFFFU, 0x80000004U}) {
    ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(word.address(), passed)})));
    EXPECT_TRUE(succeeds(cuStreamSynchronize(stream))) << passed;
  }
}

TEST_F(FakeMemoryOperationsTest, WaitForANumberThatIsAheadLasts) {
  Word word(3);
  for (const std::uint32_t ahead : {4U, 0x80000003U}) {
    const CudaStream stream = makeStream();
    ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(word.address(), ahead)})));
    EXPECT_EQ(cuStreamQuery(stream), CudaResult::kNotReady) << ahead;
  }
  const CudaStream stream = makeStream();
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(word.address(), 2, kCudaWaitEq)})));
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kNotReady);
  word.set(2);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(stream)));
}

TEST_F(FakeMemoryOperationsTest, ValuesAreThoseOfTheCall) {
  const CudaStream stream = makeStream();
  Word go;
  const Word written;
  std::vector operations{waitFor(go.address(), 1), writeOf(written.address(), 7)};
  ASSERT_TRUE(succeeds(cuStreamBatchMemOp_v2(stream, 2, operations.data(), 0)));
  operations[1].value = 8;
  go.set(1);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(written.get(), 7U);
}

TEST_F(FakeMemoryOperationsTest, WordMayLieInDeviceMemory) {
  const CudaStream stream = makeStream();
  const CudaDevicePointer memory = allocate(8);
  std::uint32_t read = 0;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {writeOf(memory + 4, 7), waitFor(memory + 4, 7, kCudaWaitEq)})));
  ASSERT_TRUE(succeeds(cuMemcpyDtoHAsync_v2(&read, memory + 4, 4, stream)));
  EXPECT_EQ(read, 7U);
}

TEST_F(FakeMemoryOperationsTest, AtMost255AreTakenAtOnce) {
  const CudaStream stream = makeStream();
  const Word word;
  EXPECT_TRUE(succeeds(enqueueOperations(stream, std::vector(255, writeOf(word.address(), 1)))));
  EXPECT_EQ(enqueueOperations(stream, std::vector(256, writeOf(word.address(), 1))), CudaResult::kInvalidValue);
}

TEST_F(FakeMemoryOperationsTest, WordsThatNoStreamReachesAreRefused) {
  const CudaStream stream = makeStream();
  CudaDevicePointer managed = 0;
  std::uint32_t pageable = 0;
  ASSERT_TRUE(succeeds(cuMemAllocManaged(&managed, 4, 1)));
  const CudaDevicePointer memory = allocate(8);
  for (const CudaDevicePointer address :
       {managed, CudaDevicePointer{reinterpret_cast<std::uintptr_t>(&pageable)}, memory + 2, memory + 8}) {
    EXPECT_EQ(enqueueOperations(stream, {writeOf(address, 1)}), CudaResult::kInvalidValue);
  }
}

TEST_F(FakeMemoryOperationsTest, WordThatIsFreedMeanwhileKillsTheContext) {
  const CudaStream stream = makeStream();
  Word go;
  void* memory = fake_cuda::reserve(0, 4096, 4096);
  const CudaDevicePointer address = reinterpret_cast<std::uintptr_t>(memory);
  // Memory that is there when the operation is enqueued and gone when the stream comes to it.
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {writeOf(address, 1)})));
  fake_cuda::release(memory);
  go.set(1);
  EXPECT_EQ(cuStreamSynchronize(stream), CudaResult::kIllegalAddress);
  EXPECT_EQ(cuCtxSynchronize(), CudaResult::kIllegalAddress);
}

TEST_F(FakeMemoryOperationsTest, UnknownOperationsAndFlagsAreRefused) {
  const CudaStream stream = makeStream();
  const Word word;
  EXPECT_EQ(enqueueOperations(stream, {waitFor(word.address(), 1, 2)}), CudaResult::kInvalidValue);
  CudaMemoryOperationParams other = writeOf(word.address(), 1);
  other.operation = static_cast<CudaMemoryOperation>(5);
  EXPECT_EQ(enqueueOperations(stream, {other}), CudaResult::kNotSupported);
}

TEST_F(FakeMemoryOperationsTest, FirstVersionIsRefused) {
  const Word word;
  CudaMemoryOperationParams operation = writeOf(word.address(), 1);
  EXPECT_EQ(cuStreamBatchMemOp(makeStream(), 1, &operation, 0), CudaResult::kNotSupported);
}

TEST_F(FakeMemoryOperationsTest, MachineMaySupportNone) {
  begin({.memory_operations = false});
  const Word word;
  EXPECT_EQ(enqueueOperations(makeStream(), {writeOf(word.address(), 1)}), CudaResult::kNotSupported);
}

}  // namespace
}  // namespace signccl
