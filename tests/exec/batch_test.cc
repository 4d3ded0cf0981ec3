// SPDX-License-Identifier: Apache-2.0
#include "exec/batch.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

Segment segmentOf(std::size_t count, ElementType sendtype = ElementType::kFloat32,
                  ElementType recvtype = ElementType::kFloat32) {
  return {.source = elementSource(sendtype, nullptr), .sink = elementSink(recvtype, nullptr), .count = count};
}

TEST(BatchTest, SegmentsBeginAtWordsOfTheirOwn) {
  Batch batch;
  for (const std::size_t count : {1U, 0U, 64U, 65U}) batch.add(segmentOf(count));
  EXPECT_EQ(batch.nwords, 4U);
  const std::vector<std::pair<std::size_t, std::size_t>> expected = {{0, 1}, {1, 0}, {1, 1}, {2, 2}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(batch.segments[i].word_begin, expected[i].first);
    EXPECT_EQ(batch.segments[i].nwords, expected[i].second);
  }
}

TEST(BatchTest, OnlyInPlaceCallsWithElementsOfDifferentSizeEncodeFirst) {
  std::byte memory[16] = {};
  const auto encodes_first = [&](const void* send, ElementType sendtype, ElementType recvtype) {
    Segment segment = segmentOf(2, sendtype, recvtype);
    segment.source.object = send;
    segment.sink.object = memory;
    Batch batch;
    batch.add(segmentOf(3));
    batch.segments[0].sink.object = memory + 8;
    batch.add(segment);
    return batch.mustEncodeFirst();
  };
  EXPECT_TRUE(encodes_first(memory, ElementType::kFloat32, ElementType::kInt8));
  EXPECT_TRUE(encodes_first(memory, ElementType::kBits, ElementType::kFloat32));
  EXPECT_FALSE(encodes_first(memory, ElementType::kFloat32, ElementType::kInt32));
  EXPECT_FALSE(encodes_first(memory + 1, ElementType::kFloat32, ElementType::kInt8));
}

TEST(BatchTest, UserBytesAreThoseReadAndWritten) {
  Batch batch;
  batch.add(segmentOf(65, ElementType::kFloat64, ElementType::kBits));
  batch.add(segmentOf(3, ElementType::kInt8, ElementType::kFloat16));
  EXPECT_EQ(batch.userBytes(), 65U * 8 + 16 + 3 + 6);
}

TEST(BatchTest, ClearedBatchStartsAtWordZeroAgain) {
  Batch batch;
  batch.add(segmentOf(65));
  batch.clear();
  batch.add(segmentOf(1));
  EXPECT_EQ(batch.nwords, 1U);
  EXPECT_EQ(batch.segments[0].word_begin, 0U);
}

}  // namespace
}  // namespace signccl
