// SPDX-License-Identifier: Apache-2.0
// That the answer is the same as that of every encoding is a test of encode_sum_test.cc.
#include "kernels/lanes/check_signs.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "lanes_test_support.h"

namespace signccl {
namespace {

constexpr uint32_t kNumber = 7;
constexpr uint32_t kEarlier = 6;

/// Checks `count` elements with launches of all sizes. Expects that the words that are to change do, and the other not.
template <typename Format>
void expectMet(const typename Format::Bits* elements, size_t count, bool zeros, bool others) {
  for (const size_t nblocks : kLaunches) {
    uint32_t met[2] = {kEarlier, kEarlier};
    launch<lanes::CheckSignsBody<Format>>(CheckSignsArguments{elements, count, met, kNumber}, nblocks);
    ASSERT_EQ(met[0], zeros ? kNumber : kEarlier) << count << " elements, " << nblocks << " blocks";
    ASSERT_EQ(met[1], others ? kNumber : kEarlier) << count << " elements, " << nblocks << " blocks";
  }
}

template <typename Format>
void expectMet(const std::vector<typename Format::Bits>& elements, bool zeros, bool others) {
  expectMet<Format>(elements.data(), elements.size(), zeros, others);
}

template <typename Format>
void expectOneToBeMetAtEveryPlace() {
  using Bits = typename Format::Bits;
  constexpr Bits kTwo = static_cast<Bits>(Format::kSigns.plus + 1);
  // Whole tiles for several warps of several blocks, and a part of one.
  std::vector<Bits> elements(20 * lanes::kTileElements + 77);
  for (size_t e = 0; e < elements.size(); ++e) elements[e] = e % 3 == 0 ? Format::kSigns.plus : Format::kSigns.minus;
  ASSERT_NO_FATAL_FAILURE(expectMet<Format>(elements, false, false));
  for (size_t e = 0; e < elements.size(); e += kCoarseGrid ? 1'009 : 101) {
    const Bits sign = elements[e];
    elements[e] = 0;
    ASSERT_NO_FATAL_FAILURE(expectMet<Format>(elements, true, false)) << "zero at " << e;
    elements[e] = kTwo;
    ASSERT_NO_FATAL_FAILURE(expectMet<Format>(elements, false, true)) << "another value at " << e;
    elements[e] = sign;
  }
}

TEST(LanesCheckSignsTest, OneElementThatIsNoSignIsMetAtEveryPlaceByLaunchesOfEverySize) {
  expectOneToBeMetAtEveryPlace<Float32Format>();
  expectOneToBeMetAtEveryPlace<Float64Format>();
  expectOneToBeMetAtEveryPlace<Float16Format>();
  expectOneToBeMetAtEveryPlace<BFloat16Format>();
  expectOneToBeMetAtEveryPlace<Int8Format>();
}

/// `count` signs that begin at every offset behind a multiple of 16 bytes. The elements before and behind them are no
/// signs; each of the `count` is one once.
template <typename Format>
void expectOneToBeMetAtEveryOffset(size_t count) {
  using Bits = typename Format::Bits;
  constexpr size_t kMostBefore = 16 / sizeof(Bits);
  TestBuffer buffer((count + 2 * kMostBefore) * sizeof(Bits));
  auto* all = reinterpret_cast<Bits*>(buffer.data());
  for (size_t nbefore = 0; nbefore < kMostBefore; ++nbefore) {
    std::fill_n(all, count + 2 * kMostBefore, Bits{0});
    Bits* const elements = all + nbefore;
    std::fill_n(elements, count, Format::kSigns.minus);
    ASSERT_NO_FATAL_FAILURE(expectMet<Format>(elements, count, false, false)) << nbefore << " elements before";
    for (size_t e = 0; e < count; e += e % 1024 < 24 || e + 24 > count ? 1 : 37) {
      elements[e] = 0;
      ASSERT_NO_FATAL_FAILURE(expectMet<Format>(elements, count, true, false)) << nbefore << " before, zero at " << e;
      elements[e] = Format::kSigns.minus;
    }
  }
}

template <typename Format>
void expectOneToBeMetAtEveryOffset() {
  for (const size_t count : {1U, 5U, 1023U, 1024U, 1039U, 2048U, 2100U}) {
    ASSERT_NO_FATAL_FAILURE(expectOneToBeMetAtEveryOffset<Format>(count)) << count << " elements";
  }
}

TEST(LanesCheckSignsTest, OneElementThatIsNoSignIsMetInBuffersAtEveryOffset) {
  expectOneToBeMetAtEveryOffset<Float32Format>();
  expectOneToBeMetAtEveryOffset<Float64Format>();
  expectOneToBeMetAtEveryOffset<BFloat16Format>();
  expectOneToBeMetAtEveryOffset<Int8Format>();
}

TEST(LanesCheckSignsTest, NoElementsLeaveTheWordsAlone) {
  ASSERT_NO_FATAL_FAILURE(expectMet<Float32Format>({}, false, false));
}

TEST(LanesCheckSignsTest, EveryValueOfInt8IsMetInEveryByteOfAWord) {
  for (size_t place = 0; place < 4; ++place) {
    for (unsigned value = 0; value < 256; ++value) {
      std::vector<uint8_t> elements(lanes::kTileElements, 1);
      elements[512 + place] = static_cast<uint8_t>(value);
      const bool is_other = value != 0 && value != 1 && value != 255;
      ASSERT_NO_FATAL_FAILURE(expectMet<Int8Format>(elements, value == 0, is_other)) << value << " at " << place;
    }
  }
}

TEST(LanesCheckSignsTest, EveryPatternOf16BitsIsMetInBothHalvesOfAWord) {
  std::vector<uint16_t> elements(lanes::kTileElements, BFloat16Format::kSigns.minus);
  for (size_t place = 0; place < 2; ++place) {
    for (uint32_t pattern = 0; pattern < 0x1'0000; pattern += kCoarseGrid ? 61 : 5) {
      elements[700 + place] = static_cast<uint16_t>(pattern);
      const bool is_sign = pattern == 0x3F80 || pattern == 0xBF80;
      ASSERT_NO_FATAL_FAILURE(expectMet<BFloat16Format>(elements, pattern == 0, pattern != 0 && !is_sign))
          << pattern << " at " << place;
    }
    elements[700 + place] = BFloat16Format::kSigns.plus;
  }
}

}  // namespace
}  // namespace signccl
