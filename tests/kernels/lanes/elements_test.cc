// SPDX-License-Identifier: Apache-2.0
// Encode and decode on a GPU, beyond what the tests of every instance ask: whole tiles of elements that are aligned to
// their own size only, launches of all sizes, and exchanges that failed.
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_sum.h"
#include "kernels/lanes/decode_vote.h"
#include "kernels/lanes/encode.h"
#include "lanes_test_support.h"

namespace signccl {
namespace {

/// Whole tiles, and a last one of any size. Of unaligned buffers up to 15 elements go before the first whole tile, and
/// the last one ends in the next word, so a few elements decide how many whole tiles there are.
constexpr size_t kCounts[] = {0, 1, 7, 15, 16, 1000, 1023, 1024, 1025, 1039, 2047, 2048, 2048 + 63, 3072 + 15, 30'000};

/// Calls body(count, offset) for all counts, at every offset at which elements of `type` are aligned to their own size.
template <typename Body>
void forEachBuffer(ElementType type, const Body& body) {
  const size_t width = elementBytes(type, 1);
  for (const size_t count : kCounts) {
    for (size_t offset = 0; offset < 16; offset += width) {
      if (kCoarseGrid && offset > width && offset + width < 16) continue;
      ASSERT_NO_FATAL_FAILURE(body(count, offset));
    }
  }
}

template <typename Body, bool kTernary>
void expectEncodesAsTheReference(ElementType type) {
  std::mt19937_64 random(1);
  forEachBuffer(type, [&](size_t count, size_t offset) {
    TestBuffer elements(elementBytes(type, count), offset);
    fillElements(type, random, elements.data(), count);
    PlanesAt expected(Alignment::kWords, 2, wordsFor(count));
    if (kTernary) {
      referenceKernels().encodeTernary(type, elements.data(), count, expected.plane(0), expected.plane(1));
    } else {
      referenceKernels().encodeBinary(type, elements.data(), count, expected.plane(1));
    }
    for (const size_t nblocks : kLaunches) {
      PlanesAt signs(Alignment::kWords, 2, wordsFor(count));
      launch<Body>(EncodeArguments{elements.data(), count, signs.plane(0), signs.plane(1)}, nblocks);
      ASSERT_TRUE(signs == expected) << typeName(type) << ", count " << count << ", offset " << offset << ", "
                                     << nblocks << " blocks, ternary " << kTernary;
    }
  });
}

template <typename Format>
void expectEncodesAsTheReference(ElementType type) {
  expectEncodesAsTheReference<lanes::EncodeBody<Format, false>, false>(type);
  expectEncodesAsTheReference<lanes::EncodeBody<Format, true>, true>(type);
}

TEST(LanesEncodeTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  expectEncodesAsTheReference<Float32Format>(ElementType::kFloat32);
  expectEncodesAsTheReference<Float16Format>(ElementType::kFloat16);
  expectEncodesAsTheReference<BFloat16Format>(ElementType::kBFloat16);
  expectEncodesAsTheReference<Float64Format>(ElementType::kFloat64);
  expectEncodesAsTheReference<Int8Format>(ElementType::kInt8);
  expectEncodesAsTheReference<lanes::EncodeBitsBody<false>, false>(ElementType::kBits);
  expectEncodesAsTheReference<lanes::EncodeBitsBody<true>, true>(ElementType::kBits);
}

template <typename Body>
void expectDecodesAsTheReference(ElementType type, bool has_zeros) {
  forEachBuffer(type, [&](size_t count, size_t offset) {
    const PlanesAt votes(Alignment::kWords, 2, wordsFor(count));
    const Word* nonnegative = has_zeros ? votes.plane(1) : nullptr;
    TestBuffer expected(elementBytes(type, count), offset);
    referenceKernels().decodeVote(type, votes.plane(0), nonnegative, count, expected.data(), Store::kCached);
    for (const size_t nblocks : kLaunches) {
      TestBuffer elements(elementBytes(type, count), offset);
      launch<Body>(DecodeVoteArguments{votes.plane(0), nonnegative, count, elements.data(), nullptr}, nblocks);
      ASSERT_TRUE(elements == expected) << typeName(type) << ", count " << count << ", offset " << offset << ", "
                                        << nblocks << " blocks, zeros " << has_zeros;
    }
  });
}

template <typename Format>
void expectDecodesAsTheReference(ElementType type) {
  expectDecodesAsTheReference<lanes::DecodeVoteBody<Format, false>>(type, false);
  expectDecodesAsTheReference<lanes::DecodeVoteBody<Format, true>>(type, true);
}

TEST(LanesDecodeVoteTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  expectDecodesAsTheReference<Float32Format>(ElementType::kFloat32);
  expectDecodesAsTheReference<Float16Format>(ElementType::kFloat16);
  expectDecodesAsTheReference<BFloat16Format>(ElementType::kBFloat16);
  expectDecodesAsTheReference<Float64Format>(ElementType::kFloat64);
  expectDecodesAsTheReference<Int8Format>(ElementType::kInt8);
  expectDecodesAsTheReference<lanes::DecodeBitsBody>(ElementType::kBits, false);
}

template <typename Body>
void expectMeansOfTheReference(ElementType type, int nplanes) {
  std::mt19937_64 random(1);
  const TestBuffer table = randomTable(type, nplanes, random);
  forEachBuffer(type, [&](size_t count, size_t offset) {
    if (nplanes > 8 && count > 4000) return;
    const PlanesAt counts(Alignment::kOddStride, nplanes, wordsFor(count));
    TestBuffer expected(elementBytes(type, count), offset);
    referenceKernels().decodeAvg(type, counts.view(), table.data(), count, expected.data(), Store::kCached);
    for (const size_t nblocks : kLaunches) {
      TestBuffer elements(elementBytes(type, count), offset);
      const DecodeAvgArguments arguments{counts.view(), table.data(), count, elements.data(), nullptr};
      launch<Body>(arguments, nblocks);
      ASSERT_TRUE(elements == expected) << typeName(type) << ", " << nplanes << " planes, count " << count
                                        << ", offset " << offset << ", " << nblocks << " blocks";
    }
  });
}

template <typename Bits>
void expectMeansOfTheReference(ElementType type) {
  using lanes::DecodeAvgBody;
  for (const int nplanes : {0, 1, 2, 3, 4, 5}) expectMeansOfTheReference<DecodeAvgBody<Bits, 5>>(type, nplanes);
  for (const int nplanes : {0, 3, 6, 7, 8}) expectMeansOfTheReference<DecodeAvgBody<Bits, 8>>(type, nplanes);
  for (const int nplanes : {1, 5, 8, 9, 13, 16}) expectMeansOfTheReference<DecodeAvgBody<Bits, 16>>(type, nplanes);
}

TEST(LanesDecodeAvgTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  for (int nplanes = 0; nplanes <= 8; ++nplanes) {
    expectMeansOfTheReference<lanes::DecodeSumBody>(ElementType::kInt8, nplanes);
  }
  expectMeansOfTheReference<uint16_t>(ElementType::kBFloat16);
  expectMeansOfTheReference<uint32_t>(ElementType::kFloat32);
  expectMeansOfTheReference<uint64_t>(ElementType::kFloat64);
}

TEST(LanesDecodeTest, NothingIsWrittenIfTheExchangeFailed) {
  constexpr size_t kCount = 3000;
  const PlanesAt planes(Alignment::kQuads, 5, wordsFor(kCount));
  const std::vector<float> table(32, 1.0F);
  for (const uint32_t status : {uint32_t{0}, uint32_t{1}, uint32_t{0x8000'0000}}) {
    const TestBuffer untouched(kCount * sizeof(float));
    TestBuffer votes(kCount * sizeof(float)), zeros(kCount * sizeof(float)), means(kCount * sizeof(float)),
        bits(wordsFor(kCount) * sizeof(Word));
    const DecodeVoteArguments vote{planes.plane(0), planes.plane(1), kCount, votes.data(), &status};
    DecodeVoteArguments vote_with_zeros = vote;
    vote_with_zeros.elements = zeros.data();
    DecodeVoteArguments vote_as_bits = vote;
    vote_as_bits.elements = bits.data();
    launch<lanes::DecodeVoteBody<Float32Format, false>>(vote, 2);
    launch<lanes::DecodeVoteBody<Float32Format, true>>(vote_with_zeros, 2);
    launch<lanes::DecodeBitsBody>(vote_as_bits, 2);
    launch<lanes::DecodeAvgBody<uint32_t, 5>>(
        DecodeAvgArguments{planes.view(), table.data(), kCount, means.data(), &status}, 2);
    EXPECT_EQ(votes == untouched, status != 0) << status;
    EXPECT_EQ(zeros == untouched, status != 0) << status;
    EXPECT_EQ(means == untouched, status != 0) << status;
    EXPECT_EQ(bits == TestBuffer(wordsFor(kCount) * sizeof(Word)), status != 0) << status;
  }
}

}  // namespace
}  // namespace signccl
