// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/element_types.h"

#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

TEST(ElementTypesTest, EveryTypeIsFoundByItsName) {
  for (const auto type : recvTypes()) EXPECT_EQ(typeNamed(typeName(type), recvTypes()), type) << typeName(type);
}

TEST(ElementTypesTest, SumsCannotBeSent) {
  EXPECT_FALSE(typeNamed("int16", sendTypes()));
  EXPECT_FALSE(typeNamed("int32", sendTypes()));
}

TEST(ElementTypesTest, PackedBitsAreEightElementsPerByteInWholeWords) {
  EXPECT_EQ(countFor(signcclBits, 3), 24U);
  EXPECT_EQ(payloadBytes(signcclBits, 24), 3U);
  EXPECT_EQ(payloadBytes(signcclBits, 25), 4U);
  EXPECT_EQ(bufferBytes(signcclBits, 24), 8U);
  EXPECT_EQ(bufferBytes(signcclBits, 65), 16U);
}

TEST(ElementTypesTest, SizesOfOtherTypesAreWholeElements) {
  EXPECT_EQ(countFor(signcclFloat32, 11), 2U);
  EXPECT_EQ(payloadBytes(signcclFloat32, 2), 8U);
  EXPECT_EQ(payloadBytes(signcclFloat16, 3), 6U);
}

TEST(ElementTypesTest, AMeanDoesNotFitInBits) {
  EXPECT_FALSE(whyNotRecvType(SignOp::kAvg, signcclBits, signcclTieRandom, 2).empty());
  EXPECT_EQ(defaultRecvType(SignOp::kAvg, signcclBits, signcclTieRandom, 2), signcclFloat32);
}

TEST(ElementTypesTest, AVoteWithZeroTiesDoesNotFitInBits) {
  EXPECT_FALSE(whyNotRecvType(SignOp::kVote, signcclBits, signcclTieZero, 2).empty());
  EXPECT_TRUE(whyNotRecvType(SignOp::kVote, signcclBits, signcclTiePositive, 2).empty());
  EXPECT_EQ(defaultRecvType(SignOp::kVote, signcclBits, signcclTieZero, 2), signcclFloat32);
}

TEST(ElementTypesTest, SumsOfMoreThan127RanksDoNotFitInInt8) {
  EXPECT_TRUE(whyNotRecvType(SignOp::kAvg, signcclInt8, signcclTieRandom, 127).empty());
  EXPECT_FALSE(whyNotRecvType(SignOp::kAvg, signcclInt8, signcclTieRandom, 128).empty());
  EXPECT_EQ(defaultRecvType(SignOp::kAvg, signcclInt8, signcclTieRandom, 128), signcclInt16);
}

}  // namespace
}  // namespace signccl::perf
