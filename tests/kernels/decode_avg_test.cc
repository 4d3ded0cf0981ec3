// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

/// int8 is for sums of at most 127 ranks.
int mostPlanes(ElementType type) { return type == ElementType::kInt8 ? 8 : 16; }

const std::vector<ElementType>& meanTypes() {
  static const std::vector<ElementType> types = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
                                                 ElementType::kFloat64, ElementType::kInt8,    ElementType::kInt16,
                                                 ElementType::kInt32};
  return types;
}

class DecodeAvgTest : public KernelsTest {
 protected:
  void expectEqualToReference(ElementType type, int nplanes, size_t count, size_t offset) {
    const TestBuffer table = randomTable(type, nplanes, random());
    TestPlanes planes(nplanes, (count + kWordBits - 1) / kWordBits);
    planes.fillRandom(random());
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, planes.view(), table, count, offset));
    if (nplanes == 0) return;
    // As if the last plane were the own votes. Of random counts few are 0 but for these.
    for (size_t i = 0; i < wordsFor(count); i += 2) {
      for (int j = 0; j + 1 < nplanes; ++j) planes.plane(j)[i] &= 0xFFFF'0000'0FF0;
    }
    const Counts lacking(planes.view(nplanes - 1), planes.plane(nplanes - 1));
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, lacking, table, count, offset));
  }

  void expectEqualToReference(ElementType type, const Counts& counts, const TestBuffer& table, size_t count,
                              size_t offset) {
    TestBuffer expected(elementBytes(type, count), offset);
    reference().decodeAvg(type, counts, table.data(), count, expected.data(), Store::kCached);
    for (const Store store : {Store::kCached, Store::kStreaming}) {
      TestBuffer elements(elementBytes(type, count), offset);
      kernels().decodeAvg(type, counts, table.data(), count, elements.data(), store);
      ASSERT_TRUE(elements == expected) << typeName(type) << ", " << counts.nplanes() << " planes, count " << count
                                        << ", offset " << offset << ", streaming " << (store == Store::kStreaming)
                                        << (counts.own == nullptr ? "" : ", completed by own votes");
    }
  }
};

TEST_P(DecodeAvgTest, EqualsTheReferenceForEveryNumberOfPlanes) {
  for (const ElementType type : meanTypes()) {
    for (int nplanes = 0; nplanes <= mostPlanes(type); ++nplanes) {
      for (const size_t count : shortCountGrid()) {
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, nplanes, count, 0));
      }
    }
  }
}

TEST_P(DecodeAvgTest, EqualsTheReferenceForEveryCount) {
  for (const ElementType type : meanTypes()) {
    for (const size_t count : countGrid()) {
      for (const int nplanes : {3, 7}) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, nplanes, count, 0));
    }
  }
}

TEST_P(DecodeAvgTest, EqualsTheReferenceForEveryMisalignment) {
  for (const ElementType type : meanTypes()) {
    for (size_t offset = 0; offset < 68; ++offset) {
      for (const size_t count : {size_t{1}, size_t{64}, size_t{200}, size_t{333}}) {
        for (const int nplanes : {4, std::min(9, mostPlanes(type))}) {
          ASSERT_NO_FATAL_FAILURE(expectEqualToReference(type, nplanes, count, offset));
        }
      }
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(DecodeAvgTest);

}  // namespace
}  // namespace signccl
