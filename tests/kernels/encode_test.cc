// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

class EncodeTest : public KernelsTest {
 protected:
  /// Encodes random elements at `offset` by the instance and by the reference, both zero rules.
  void expectEqualToReference(ElementType type, size_t count, size_t offset) {
    TestBuffer elements(elementBytes(type, count), offset);
    fillElements(type, random(), elements.data(), count);
    const size_t plane_bytes = elementBytes(ElementType::kBits, count);
    TestBuffer expected_nonnegative(plane_bytes), expected_positive(plane_bytes);
    TestBuffer binary(plane_bytes), nonnegative(plane_bytes), positive(plane_bytes);

    reference().encodeTernary(type, elements.data(), count, expected_positive.words(), expected_nonnegative.words());
    kernels().encodeBinary(type, elements.data(), count, binary.words());
    kernels().encodeTernary(type, elements.data(), count, positive.words(), nonnegative.words());

    const auto where = [&] {
      return testing::Message() << typeName(type) << ", count " << count << ", offset " << offset;
    };
    ASSERT_TRUE(binary == expected_nonnegative) << where();
    ASSERT_TRUE(nonnegative == expected_nonnegative) << where();
    ASSERT_TRUE(positive == expected_positive) << where();
  }
};

TEST_P(EncodeTest, EqualsTheReferenceForEveryCount) {
  for (const ElementType type : signTypes()) {
    for (const size_t count : countGrid()) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, count, 0));
  }
}

TEST_P(EncodeTest, EqualsTheReferenceForEveryMisalignment) {
  for (const ElementType type : signTypes()) {
    for (size_t offset = 0; offset < 68; ++offset) {
      for (const size_t count : shortCountGrid()) {
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, count, offset));
      }
    }
  }
}

TEST_P(EncodeTest, EveryPatternOf16BitsHasTheSignOfTheReference) {
  constexpr size_t kPatterns = 1 << 16;
  std::vector<uint16_t> elements(kPatterns);
  for (size_t i = 0; i < kPatterns; ++i) elements[i] = static_cast<uint16_t>(i);
  for (const ElementType type : {ElementType::kFloat16, ElementType::kBFloat16}) {
    std::vector<Word> planes[4];
    for (auto& plane : planes) plane.resize(kPatterns / kWordBits);
    kernels().encodeTernary(type, elements.data(), kPatterns, planes[0].data(), planes[1].data());
    reference().encodeTernary(type, elements.data(), kPatterns, planes[2].data(), planes[3].data());
    EXPECT_EQ(planes[0], planes[2]) << typeName(type);
    EXPECT_EQ(planes[1], planes[3]) << typeName(type);
  }
}

TEST_P(EncodeTest, DenormalsKeepTheirSignWhenTheProcessorTreatsThemAsZero) {
  const FlushDenormals flush;
  volatile float denormal = 1e-42F;
  volatile float one = 1.0F;
  volatile float product = denormal * one;
  ASSERT_TRUE(!(product > 0.0F)) << "the mode is not in effect";
  for (const ElementType type : signTypes()) {
    for (const size_t count : shortCountGrid()) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, count, 1));
  }
}

TEST_P(EncodeTest, AllZerosAreNonnegativeAndNotPositive) {
  constexpr size_t kCount = 1000;
  for (const ElementType type : signTypes()) {
    if (type == ElementType::kBits) continue;  // packed signs have no zero
    const std::vector<unsigned char> elements(elementBytes(type, kCount));
    std::vector<Word> positive(16, 1), nonnegative(16, 1);
    kernels().encodeTernary(type, elements.data(), kCount, positive.data(), nonnegative.data());
    for (size_t e = 0; e < 1024; ++e) {
      EXPECT_EQ((nonnegative[e / 64] >> (e % 64)) & 1, e < kCount ? 1U : 0U) << typeName(type) << ", element " << e;
      EXPECT_EQ((positive[e / 64] >> (e % 64)) & 1, 0U) << typeName(type) << ", element " << e;
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(EncodeTest);

}  // namespace
}  // namespace signccl
