// SPDX-License-Identifier: Apache-2.0
// Encoding of elements that are to be signs, and the check whether they are.
#include <cstddef>
#include <cstring>

#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

constexpr ElementType kSumTypes[] = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
                                     ElementType::kFloat64, ElementType::kInt8};

/// The patterns of -1, 0 and +1.
struct Signs {
  uint64_t minus;
  uint64_t plus;
};

Signs signsOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return {0xBFF0'0000'0000'0000, 0x3FF0'0000'0000'0000};
    case ElementType::kFloat32:
      return {0xBF80'0000, 0x3F80'0000};
    case ElementType::kFloat16:
      return {0xBC00, 0x3C00};
    case ElementType::kBFloat16:
      return {0xBF80, 0x3F80};
    default:
      return {0xFF, 1};
  }
}

void put(ElementType type, uint64_t pattern, unsigned char* elements, size_t e) {
  const size_t width = elementBytes(type, 1);
  std::memcpy(elements + e * width, &pattern, width);
}

class EncodeSumTest : public KernelsTest {
 protected:
  /// Elements that are -1 and +1, and also 0 if `has_zeros`.
  void fill(ElementType type, bool has_zeros, unsigned char* elements, size_t count) {
    const Signs signs = signsOf(type);
    for (size_t e = 0; e < count; ++e) {
      const uint64_t drawn = random()();
      const bool is_zero = has_zeros && drawn / 2 % 3 == 0;
      put(type, is_zero ? 0 : drawn % 2 == 0 ? signs.plus : signs.minus, elements, e);
    }
  }

  /// Encodes by the instance, and compares with the reference and with `met`.
  void expectEqualToReference(ElementType type, const TestBuffer& elements, size_t count, uint32_t met) {
    const size_t plane_bytes = elementBytes(ElementType::kBits, count);
    TestBuffer expected_binary(plane_bytes), expected_positive(plane_bytes), expected_nonnegative(plane_bytes);
    TestBuffer binary(plane_bytes), positive(plane_bytes), nonnegative(plane_bytes);
    const auto where = [&] { return testing::Message() << typeName(type) << ", count " << count; };
    ASSERT_EQ(reference().encodeSumBinary(type, elements.data(), count, expected_binary.words()), met) << where();
    ASSERT_EQ(kernels().encodeSumBinary(type, elements.data(), count, binary.words()), met) << where();
    ASSERT_TRUE(binary == expected_binary) << where();
    ASSERT_EQ(reference().encodeSumTernary(type, elements.data(), count, expected_positive.words(),
                                           expected_nonnegative.words()),
              met)
        << where();
    ASSERT_EQ(kernels().encodeSumTernary(type, elements.data(), count, positive.words(), nonnegative.words()), met)
        << where();
    ASSERT_TRUE(positive == expected_positive) << where();
    ASSERT_TRUE(nonnegative == expected_nonnegative) << where();
  }
};

TEST_P(EncodeSumTest, EqualsTheReferenceForEveryCount) {
  for (const ElementType type : kSumTypes) {
    for (const size_t count : countGrid()) {
      for (const bool has_zeros : {false, true}) {
        TestBuffer elements(elementBytes(type, count));
        fill(type, has_zeros, elements.data(), count);
        if (has_zeros && count > 0) put(type, 0, elements.data(), count / 2);
        const uint32_t met = has_zeros && count > 0 ? kMetZeros : 0;
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, count, met));
      }
    }
  }
}

TEST_P(EncodeSumTest, EqualsTheReferenceForEveryMisalignment) {
  for (const ElementType type : kSumTypes) {
    for (size_t offset = 0; offset < 68; ++offset) {
      for (const size_t count : shortCountGrid()) {
        TestBuffer elements(elementBytes(type, count), offset);
        fill(type, false, elements.data(), count);
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, count, 0));
      }
    }
  }
}

TEST_P(EncodeSumTest, PlanesOfSignsAreThoseOfOtherEncodings) {
  constexpr size_t kCount = 1003;
  for (const ElementType type : kSumTypes) {
    const size_t plane_bytes = elementBytes(ElementType::kBits, kCount);
    TestBuffer elements(elementBytes(type, kCount));
    TestBuffer planes[] = {TestBuffer(plane_bytes), TestBuffer(plane_bytes), TestBuffer(plane_bytes),
                           TestBuffer(plane_bytes)};
    fill(type, false, elements.data(), kCount);
    kernels().encodeBinary(type, elements.data(), kCount, planes[0].words());
    kernels().encodeSumBinary(type, elements.data(), kCount, planes[1].words());
    EXPECT_TRUE(planes[0] == planes[1]) << typeName(type);
    fill(type, true, elements.data(), kCount);
    kernels().encodeTernary(type, elements.data(), kCount, planes[0].words(), planes[1].words());
    kernels().encodeSumTernary(type, elements.data(), kCount, planes[2].words(), planes[3].words());
    EXPECT_TRUE(planes[0] == planes[2]) << typeName(type);
    EXPECT_TRUE(planes[1] == planes[3]) << typeName(type);
  }
}

TEST_P(EncodeSumTest, OneOtherValueIsMetAtEveryPlace) {
  constexpr size_t kCount = kCoarseGrid ? 131 : 579;  // more than a vector of words of every instruction set
  for (const ElementType type : kSumTypes) {
    const uint64_t plus = signsOf(type).plus;
    TestBuffer elements(elementBytes(type, kCount));
    fill(type, false, elements.data(), kCount);
    for (size_t e = 0; e < kCount; ++e) {
      // The bits of +1 with one more set, or one of them cleared.
      const size_t bit = e % (8 * elementBytes(type, 1) - 1);
      const uint32_t met = type == ElementType::kInt8 && bit == 0 ? kMetZeros : kMetOthers;
      put(type, plus ^ (uint64_t{1} << bit), elements.data(), e);
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, kCount, met)) << "element " << e;
      put(type, 0, elements.data(), (e + 1) % kCount);
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, kCount, met | kMetZeros)) << "element " << e;
      put(type, plus, elements.data(), e);
      put(type, plus, elements.data(), (e + 1) % kCount);
    }
  }
}

TEST_P(EncodeSumTest, ElementsBeyondTheLastAreNotLookedAt) {
  for (const ElementType type : kSumTypes) {
    TestBuffer elements(elementBytes(type, 192));
    for (size_t count = 0; count <= 130; ++count) {
      fill(type, false, elements.data(), count);
      for (size_t e = count; e < 192; ++e) put(type, 0x55, elements.data(), e);
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, count, 0));
    }
  }
}

TEST_P(EncodeSumTest, EveryPatternOf16BitsIsMetAsByTheReference) {
  // On a device every pattern is a launch, and copies there and back.
  const uint32_t step = std::strcmp(kernels().name, "device") == 0 ? 31 : kCoarseGrid ? 7 : 1;
  for (const ElementType type : {ElementType::kFloat16, ElementType::kBFloat16}) {
    const Signs signs = signsOf(type);
    for (uint32_t pattern = 0; pattern < (1 << 16); pattern += step) {
      const auto element = static_cast<uint16_t>(pattern);
      Word planes[3];
      const bool is_sign = pattern == signs.plus || pattern == signs.minus;
      const uint32_t met = is_sign ? 0 : pattern == 0 ? kMetZeros : kMetOthers;
      ASSERT_EQ(kernels().encodeSumBinary(type, &element, 1, planes), met) << typeName(type) << " " << pattern;
      ASSERT_EQ(kernels().encodeSumTernary(type, &element, 1, planes + 1, planes + 2), met)
          << typeName(type) << " " << pattern;
    }
  }
}

TEST_P(EncodeSumTest, SpecialValuesAreMetAlsoWhenTheProcessorTreatsDenormalsAsZero) {
  const FlushDenormals flush;
  for (const ElementType type : kSumTypes) {
    for (const uint64_t pattern : specialPatterns(type)) {
      TestBuffer elements(elementBytes(type, 65));
      fill(type, false, elements.data(), 65);
      put(type, pattern, elements.data(), 64);
      const Signs signs = signsOf(type);
      const bool is_sign = pattern == signs.plus || pattern == signs.minus;
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, elements, 65,
                                                     is_sign        ? 0
                                                     : pattern == 0 ? kMetZeros
                                                                    : kMetOthers));
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(EncodeSumTest);

}  // namespace
}  // namespace signccl
