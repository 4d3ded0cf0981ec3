// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

class DecodeVoteTest : public KernelsTest {
 protected:
  void expectEqualToReference(ElementType type, size_t count, size_t offset) {
    const size_t plane_bytes = elementBytes(ElementType::kBits, count);
    TestBuffer positive(plane_bytes), nonnegative(plane_bytes);
    positive.fillRandom(random());
    nonnegative.fillRandom(random());
    for (const bool zeros : {false, true}) {
      if (zeros && type == ElementType::kBits) continue;  // packed signs have no zero
      const Word* second = zeros ? nonnegative.words() : nullptr;
      TestBuffer expected(elementBytes(type, count), offset);
      reference().decodeVote(type, positive.words(), second, count, expected.data(), Store::kCached);
      for (const Store store : {Store::kCached, Store::kStreaming}) {
        TestBuffer elements(elementBytes(type, count), offset);
        kernels().decodeVote(type, positive.words(), second, count, elements.data(), store);
        ASSERT_TRUE(elements == expected) << typeName(type) << ", count " << count << ", offset " << offset
                                          << ", zeros " << zeros << ", streaming " << (store == Store::kStreaming);
      }
    }
  }
};

TEST_P(DecodeVoteTest, EqualsTheReferenceForEveryCount) {
  for (const ElementType type : signTypes()) {
    for (const size_t count : countGrid()) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, count, 0));
  }
}

TEST_P(DecodeVoteTest, EqualsTheReferenceForEveryMisalignment) {
  for (const ElementType type : signTypes()) {
    for (size_t offset = 0; offset < 68; ++offset) {
      for (const size_t count : shortCountGrid()) {
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, count, offset));
      }
    }
  }
}

TEST_P(DecodeVoteTest, UndoesEncodeTernary) {
  constexpr size_t kCount = 1234;
  for (const ElementType type : signTypes()) {
    TestBuffer elements(elementBytes(type, kCount));
    fillElements(type, random(), elements.data(), kCount);
    TestPlanes signs(2, 20), signs_again(2, 20);
    kernels().encodeTernary(type, elements.data(), kCount, signs.plane(0), signs.plane(1));
    const Word* nonnegative = type == ElementType::kBits ? nullptr : signs.plane(1);
    kernels().decodeVote(type, signs.plane(0), nonnegative, kCount, elements.data(), Store::kCached);
    kernels().encodeTernary(type, elements.data(), kCount, signs_again.plane(0), signs_again.plane(1));
    EXPECT_TRUE(signs == signs_again) << typeName(type);
  }
}

SIGNCCL_FOR_ALL_KERNELS(DecodeVoteTest);

}  // namespace
}  // namespace signccl
