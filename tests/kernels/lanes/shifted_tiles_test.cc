// SPDX-License-Identifier: Apache-2.0
// That kernels take whole tiles of unaligned buffers, and stay inside of those. What they compute is a test of
// elements_test.cc.
#include "kernels/lanes/shifted_tiles.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/lanes/check_signs.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_sum.h"
#include "kernels/lanes/decode_vote.h"
#include "kernels/lanes/encode.h"
#include "lanes_test_support.h"

namespace signccl::lanes {
namespace {

using Group = HostGroup<DirectMemory>;

/// Memory of which a kernel may touch only a part.
struct Fence {
  const unsigned char* begin;
  size_t size;
};

/// The group of the host, which counts accesses within 64 bytes of a fence that are not inside of any, and accesses of
/// 16 bytes inside.
struct FencedGroup : Group {
  static inline std::vector<Fence> fences;
  static inline size_t noutside = 0;
  static inline size_t nquads = 0;

  static void look(const void* address, size_t size) {
    constexpr uintptr_t kNear = 64;
    const auto first = reinterpret_cast<uintptr_t>(address);
    bool is_near = false;
    bool is_inside = false;
    for (const Fence& fence : fences) {
      const auto begin = reinterpret_cast<uintptr_t>(fence.begin);
      const uintptr_t end = begin + fence.size;
      is_near = is_near || (first + size > begin - kNear && first < end + kNear);
      is_inside = is_inside || (first >= begin && first + size <= end);
    }
    noutside += is_near && !is_inside ? 1 : 0;
    nquads += is_inside && size == sizeof(Quad) ? 1 : 0;
  }

  template <typename T>
  static T load(const T* from) {
    look(from, sizeof(T));
    return Group::load(from);
  }
  template <typename T>
  static T loadOnce(const T* from) {
    return load(from);
  }
  template <typename T>
  static void store(T* to, const T& value) {
    look(to, sizeof(T));
    Group::store(to, value);
  }
  template <typename T>
  static void storeOnce(T* to, const T& value) {
    store(to, value);
  }
};

template <typename Body, typename Arguments>
void expectInside(const Arguments& arguments, std::vector<Fence> fences, size_t nquads) {
  FencedGroup::fences = std::move(fences);
  FencedGroup::noutside = 0;
  FencedGroup::nquads = 0;
  for (size_t warp = 0; warp < kBlockWarps; ++warp) Body::template run<FencedGroup>(arguments, warpIndex(0, 1, warp));
  EXPECT_EQ(FencedGroup::noutside, 0U);
  EXPECT_EQ(FencedGroup::nquads, nquads);
}

constexpr size_t kTestedCounts[] = {0, 1, 9, 1023, 1024, 1032, 1039, 2047, 2048, 2049, 3072, 3087};

/// Elements that begin `offset` bytes behind a multiple of 16, and planes for them.
struct Buffers {
  static constexpr int kPlanes = 5;
  size_t count;
  TestBuffer elements;
  PlanesAt planes;
  std::vector<uint64_t> table = std::vector<uint64_t>(1 << kPlanes, 1);
  std::vector<Fence> fences;

  Buffers(size_t nelements, size_t width, size_t offset)
      : count(nelements), elements(nelements * width, offset), planes(Alignment::kWords, kPlanes, wordsFor(nelements)) {
    std::mt19937_64 random(1);
    elements.fillRandom(random);
    fences.push_back({elements.data(), elements.size()});
  }

  [[nodiscard]] Fence fenceOf(int plane) const {
    return {reinterpret_cast<const unsigned char*>(planes.plane(plane)), wordsFor(count) * sizeof(Word)};
  }
};

/// Accesses of 16 bytes to the elements of so many tiles.
template <typename Bits>
size_t quadsIn(size_t ntiles) {
  return ntiles * kTileElements * sizeof(Bits) / sizeof(Quad);
}

template <typename Format>
void expectEncodingStaysInside(size_t count, size_t offset) {
  using Bits = typename Format::Bits;
  Buffers buffers(count, sizeof(Bits), offset);
  buffers.fences.push_back(buffers.fenceOf(0));
  buffers.fences.push_back(buffers.fenceOf(1));
  const EncodeArguments arguments{buffers.elements.data(), count, buffers.planes.plane(0), buffers.planes.plane(1)};
  const size_t nwhole = count / kTileElements;
  const size_t nquads = quadsIn<Bits>(offset != 0 && nwhole != 0 ? nwhole - 1 : nwhole);
  expectInside<EncodeBody<Format, false>>(arguments, buffers.fences, nquads);
  expectInside<EncodeBody<Format, true>>(arguments, buffers.fences, nquads);
}

template <typename Format>
void expectCheckingAndDecodingStayInside(size_t count, size_t offset) {
  using Bits = typename Format::Bits;
  Buffers buffers(count, sizeof(Bits), offset);
  const size_t first = offset == 0 ? 0 : (16 - offset) / sizeof(Bits);
  const size_t nquads = quadsIn<Bits>(count < first ? 0 : (count - first) / kTileElements);
  uint32_t met[2] = {};
  void* const elements = buffers.elements.data();
  expectInside<CheckSignsBody<Format>>(CheckSignsArguments{elements, count, met, 1}, buffers.fences, nquads);
  for (int j = 0; j < Buffers::kPlanes; ++j) buffers.fences.push_back(buffers.fenceOf(j));
  const DecodeVoteArguments vote{buffers.planes.plane(0), buffers.planes.plane(1), count, elements, nullptr};
  expectInside<DecodeVoteBody<Format, false>>(vote, buffers.fences, nquads);
  expectInside<DecodeVoteBody<Format, true>>(vote, buffers.fences, nquads);
  const DecodeAvgArguments avg{buffers.planes.view(), buffers.table.data(), count, elements, nullptr};
  if constexpr (sizeof(Bits) == 1) {
    expectInside<DecodeSumBody>(avg, buffers.fences, nquads);
  } else {
    expectInside<DecodeAvgBody<Bits, 5>>(avg, buffers.fences, nquads);
    expectInside<DecodeAvgBody<Bits, 16>>(avg, buffers.fences, nquads);
  }
}

template <typename Format>
void expectKernelsStayInside() {
  for (size_t offset = 0; offset < 16; offset += sizeof(typename Format::Bits)) {
    for (const size_t count : kTestedCounts) {
      SCOPED_TRACE(::testing::Message() << sizeof(typename Format::Bits) << " bytes, count " << count << ", offset "
                                        << offset);
      expectEncodingStaysInside<Format>(count, offset);
      expectCheckingAndDecodingStayInside<Format>(count, offset);
    }
  }
}

TEST(ShiftedTilesTest, KernelsTakeWholeTilesIn16BytesAndStayInsideOfTheirBuffers) {
  expectKernelsStayInside<Int8Format>();
  expectKernelsStayInside<BFloat16Format>();
  expectKernelsStayInside<Float32Format>();
  expectKernelsStayInside<Float64Format>();
}

TEST(ShiftedTilesTest, AFenceSeesAccessesOverItsEnds) {
  alignas(16) static const unsigned char memory[256] = {};
  const auto outside = [](size_t at) {
    FencedGroup::fences = {{memory + 68, 64}};
    FencedGroup::noutside = 0;
    static_cast<void>(FencedGroup::load(reinterpret_cast<const Quad*>(memory + at)));
    return FencedGroup::noutside;
  };
  EXPECT_EQ(outside(64), 1U);
  EXPECT_EQ(outside(80), 0U);
  EXPECT_EQ(outside(128), 1U);
}

TEST(ShiftedTilesTest, ACutHasEveryElementOnce) {
  for (const size_t offset : {0U, 1U, 9U, 15U}) {
    for (const size_t count : kTestedCounts) {
      const Cut cut = cutAtQuads<uint8_t>(reinterpret_cast<const void*>(4096 + offset), count);
      EXPECT_EQ(cut.nwhole == 0 || (offset + cut.first) % 16 == 0, true);
      std::vector<int> seen(count);
      for (size_t e = cut.first; e < cut.end(); ++e) ++seen[e];
      for (size_t warp = 0; warp < 3; ++warp) {
        forEachRest({warp, 3}, cut, count, [&](size_t begin, size_t end) {
          ASSERT_LE(end - begin, kTileElements);
          for (size_t e = begin; e < end; ++e) ++seen[e];
        });
      }
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<ptrdiff_t>(count)) << offset;
    }
  }
}

TEST(ShiftedTilesTest, WordsAreShiftedDownByTheElementsBefore) {
  constexpr int kItemBits = 8;
  constexpr uint32_t kBefore = 5;
  // Bit b of the tile is set if b % 3 is 0; before it all bits are.
  const auto bit_at = [](int b) { return b < 0 || b % 3 == 0; };
  const auto word_at = [&](int first) {
    uint32_t word = 0;
    for (int b = 0; b < 32; ++b) word |= static_cast<uint32_t>(bit_at(first + b)) << b;
    return word;
  };
  Group::PerLane<uint32_t> words;
  for (int lane = 0; lane < kLanes; ++lane) {
    words[lane] = word_at(32 * wordOfLane<kItemBits>(lane) - static_cast<int>(kBefore));
  }
  shiftWords<Group, kItemBits>(words, kBefore, word_at(1024 - static_cast<int>(kBefore)) & lowMask(kBefore));
  for (int lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(words[lane], word_at(32 * wordOfLane<kItemBits>(lane))) << "lane " << lane;
  }
}

}  // namespace
}  // namespace signccl::lanes
