// SPDX-License-Identifier: Apache-2.0
// merge, clamp, decide and restoreTop against the reference.
#include <algorithm>
#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

constexpr int kMaxTestPlanes = 16;
constexpr uint64_t kEveryBit = ~uint64_t{0};

class MergeTest : public KernelsTest {
 protected:
  void expectEqualToReference(int nplanes_a, int nplanes_b, int nplanes_sum, size_t nwords) {
    TestPlanes a(nplanes_a, nwords), b(nplanes_b, nwords);
    a.fillRandom(random());
    b.fillRandom(random());
    TestPlanes expected(nplanes_sum, nwords), sum(nplanes_sum, nwords);
    reference().merge(a.view(), b.view(), nwords, expected.planes());
    kernels().merge(a.view(), b.view(), nwords, sum.planes());
    ASSERT_TRUE(sum == expected) << nplanes_a << " + " << nplanes_b << " planes into " << nplanes_sum << ", " << nwords
                                 << " words";
  }

  /// The sum goes to the planes of the operand of `nplanes_target` planes; the other one is the second if `first`.
  void expectEqualInPlace(bool first, int nplanes_target, int nplanes_other, int nplanes_sum) {
    constexpr size_t kWords = kAllPathsWords;
    const int room = std::max(nplanes_target, nplanes_sum);
    TestPlanes expected(room, kWords), target(room, kWords), other(nplanes_other, kWords);
    auto same_random = random();
    expected.fillRandom(random());
    target.fillRandom(same_random);
    other.fillRandom(random());
    const auto merge = [&](const Kernels& instance, TestPlanes& sum) {
      const ConstPlanes a = first ? sum.view(nplanes_target) : other.view();
      const ConstPlanes b = first ? other.view() : sum.view(nplanes_target);
      instance.merge(a, b, kWords, sum.planes(nplanes_sum));
    };
    merge(reference(), expected);
    merge(kernels(), target);
    ASSERT_TRUE(target == expected) << nplanes_target << " + " << nplanes_other << " planes into " << nplanes_sum;
  }
};

TEST_P(MergeTest, EqualsTheReferenceForEveryNumberOfPlanes) {
  for (int a = 0; a <= kMaxTestPlanes; ++a) {
    for (int b = 0; b <= kMaxTestPlanes; b += kCoarseGrid ? 3 : 1) {
      const int widest = std::max(a, b);
      for (const int sum : {0, std::min(a, b), widest, widest + 1, widest + 3}) {
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(a, b, sum, kAllPathsWords));
      }
    }
  }
}

TEST_P(MergeTest, EqualsTheReferenceForEveryNumberOfWords) {
  for (const size_t nwords : wordGrid()) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(3, 4, 5, nwords));
}

TEST_P(MergeTest, TheSumMayReplaceEitherOperand) {
  for (int target = 0; target <= 6; ++target) {
    for (int other = 0; other <= 6; ++other) {
      for (const bool first : {true, false}) {
        ASSERT_NO_FATAL_FAILURE(expectEqualInPlace(first, target, other, std::max(target, other) + 1));
        ASSERT_NO_FATAL_FAILURE(expectEqualInPlace(first, target, other, target));
      }
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(MergeTest);

/// Numbers around `centre` for half of the elements, so that comparisons with it are not decided by the top bits alone.
void gatherAround(uint64_t centre, std::mt19937_64& random, TestPlanes& planes, size_t nwords) {
  planes.fillRandom(random);
  for (size_t e = 0; e < nwords * kWordBits; e += 2) planes.setNumber(e, centre + random() % 5 - 2);
}

/// Constants at and around every place where a number of `nplanes` planes changes its nature.
std::vector<uint64_t> cornersOf(int nplanes) {
  const uint64_t end = uint64_t{1} << nplanes;
  std::vector<uint64_t> corners = {0, 1, 2, 3, end / 2 - 1, end / 2, end / 2 + 1, end - 1, end, end + 1, end + 7};
  if (end == 1) corners.erase(corners.begin() + 4);  // end / 2 - 1 wraps around
  return corners;
}

class ClampTest : public KernelsTest {
 protected:
  void expectEqualToReference(int nplanes, uint64_t low, uint64_t high, size_t nwords) {
    const int nplanes_out = planesFor(high - low);
    const int room = std::max(nplanes, nplanes_out);
    TestPlanes in(room, nwords), expected(nplanes_out, nwords), out(nplanes_out, nwords);
    gatherAround(random()() % 2 == 0 ? low : high, random(), in, nwords);
    reference().clamp(in.view(nplanes), low, high, nwords, expected.planes());
    kernels().clamp(in.view(nplanes), low, high, nwords, out.planes());
    const auto where = [&] {
      return testing::Message() << nplanes << " planes to [" << low << ", " << high << "], " << nwords << " words";
    };
    ASSERT_TRUE(out == expected) << where();

    kernels().clamp(in.view(nplanes), low, high, nwords, in.planes(nplanes_out));
    for (int j = 0; j < nplanes_out; ++j) {
      ASSERT_TRUE(std::equal(in.plane(j), in.plane(j) + nwords, expected.plane(j))) << "in place, " << where();
    }
  }
};

TEST_P(ClampTest, EqualsTheReferenceForEveryNumberOfPlanesAndCornerLimits) {
  for (int nplanes = 0; nplanes <= kMaxTestPlanes; nplanes += kCoarseGrid && nplanes > 4 ? 5 : 1) {
    const std::vector<uint64_t> corners = cornersOf(nplanes);
    for (const uint64_t low : corners) {
      for (const uint64_t high : corners) {
        if (low > high) continue;
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference(nplanes, low, high, kAllPathsWords));
      }
    }
  }
}

TEST_P(ClampTest, EqualsTheReferenceForEveryPairOfLimitsOfFourPlanes) {
  for (uint64_t low = 0; low <= 17; ++low) {
    for (uint64_t high = low; high <= 17; ++high) {
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(4, low, high, kCoarseGrid ? 3 : 11));
    }
  }
}

TEST_P(ClampTest, EqualsTheReferenceForEveryNumberOfWords) {
  for (const size_t nwords : wordGrid()) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(5, 7, 19, nwords));
}

SIGNCCL_FOR_ALL_KERNELS(ClampTest);

struct Decision {
  int nplanes = 0;
  uint64_t threshold = 0;
  bool has_ties = false;
  TieBits ties = sameTies(0);
};

class DecideTest : public KernelsTest {
 protected:
  static testing::Message describe(const Decision& d, size_t nwords) {
    return testing::Message() << d.nplanes << " planes, threshold " << d.threshold << ", ties " << d.has_ties
                              << (d.ties.is_random ? ", key " : ", tie bits ") << d.ties.word_or_key << ", first word "
                              << d.ties.first_word << ", " << nwords << " words";
  }

  static void decide(const Kernels& instance, const Decision& d, const TestPlanes& counts, size_t nwords,
                     Word* positive, Word* nonnegative) {
    instance.decide(counts.view(d.nplanes), d.threshold, d.has_ties, d.ties, nwords, positive, nonnegative);
  }

  void expectEqualToReference(const Decision& d, size_t nwords) {
    TestPlanes counts(std::max(d.nplanes, 2), nwords);
    gatherAround(d.threshold, random(), counts, nwords);
    TestPlanes expected(2, nwords), votes(2, nwords), positive_only(2, nwords);
    decide(reference(), d, counts, nwords, expected.plane(0), expected.plane(1));
    decide(kernels(), d, counts, nwords, votes.plane(0), votes.plane(1));
    ASSERT_TRUE(votes == expected) << describe(d, nwords);

    decide(kernels(), d, counts, nwords, positive_only.plane(0), nullptr);
    ASSERT_TRUE(std::equal(votes.plane(0), votes.plane(0) + nwords, positive_only.plane(0))) << describe(d, nwords);

    // The votes may replace planes of the counts.
    decide(kernels(), d, counts, nwords, counts.plane(1), counts.plane(0));
    ASSERT_TRUE(std::equal(votes.plane(0), votes.plane(0) + nwords, counts.plane(1))) << describe(d, nwords);
    ASSERT_TRUE(std::equal(votes.plane(1), votes.plane(1) + nwords, counts.plane(0))) << describe(d, nwords);
  }
};

TEST_P(DecideTest, EqualsTheReferenceForEveryNumberOfPlanesAndCornerThresholds) {
  for (int nplanes = 0; nplanes <= kMaxTestPlanes; nplanes += kCoarseGrid && nplanes > 4 ? 5 : 1) {
    std::vector<uint64_t> thresholds = cornersOf(nplanes);
    thresholds.insert(thresholds.end(), {uint64_t{1} << 40, kEveryBit});
    for (const uint64_t threshold : thresholds) {
      for (const TieBits ties : {sameTies(0), sameTies(~Word{0}), sameTies(0xAAAAAAAAAAAAAAAA), randomTies(3, 5)}) {
        for (const bool has_ties : {false, true}) {
          ASSERT_NO_FATAL_FAILURE(expectEqualToReference({nplanes, threshold, has_ties, ties}, kAllPathsWords));
        }
      }
    }
  }
}

TEST_P(DecideTest, EqualsTheReferenceForEveryThresholdOfFivePlanes) {
  for (uint64_t threshold = 0; threshold <= 34; ++threshold) {
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference({5, threshold, true, sameTies(0x5555555555555555)}, 11));
  }
}

TEST_P(DecideTest, EqualsTheReferenceForEveryThresholdOfUpToFourPlanes) {
  constexpr size_t kWords = 4 * 32 + 8 + 3;  // several wide columns of every instruction set, a narrow one, and a part
  for (int nplanes = 1; nplanes <= 4; ++nplanes) {
    for (uint64_t threshold = 0; threshold <= uint64_t{1} << nplanes; ++threshold) {
      for (const TieBits ties : {sameTies(0x5555555555555555), randomTies(4, 1000)}) {
        ASSERT_NO_FATAL_FAILURE(expectEqualToReference({nplanes, threshold, true, ties}, kWords));
      }
    }
  }
}

TEST_P(DecideTest, EqualsTheReferenceForEveryNumberOfWords) {
  for (const size_t nwords : wordGrid()) {
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference({4, 9, true, sameTies(0xAAAAAAAAAAAAAAAA)}, nwords));
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference({4, 9, true, randomTies(nwords, 7 * nwords)}, nwords));
  }
}

SIGNCCL_FOR_ALL_KERNELS(DecideTest);

class RestoreTopTest : public KernelsTest {
 protected:
  void expectEqualToReference(int nplanes, bool ternary, size_t nwords) {
    TestPlanes low(nplanes, nwords), own(2, nwords);
    gatherAround(1, random(), low, nwords);
    own.fillRandom(random());
    const Word* own_positive = ternary ? own.plane(0) : nullptr;
    TestPlanes expected(1, nwords), top(1, nwords);
    reference().restoreTop(low.view(), own_positive, own.plane(1), nwords, expected.plane(0));
    kernels().restoreTop(low.view(), own_positive, own.plane(1), nwords, top.plane(0));
    ASSERT_TRUE(top == expected) << nplanes << " planes, ternary " << ternary << ", " << nwords << " words";
  }
};

TEST_P(RestoreTopTest, EqualsTheReferenceForEveryNumberOfPlanes) {
  for (int nplanes = 0; nplanes <= kMaxTestPlanes; ++nplanes) {
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference(nplanes, false, kAllPathsWords));
    if (nplanes == 0) continue;  // ternary needs one
    ASSERT_NO_FATAL_FAILURE(expectEqualToReference(nplanes, true, kAllPathsWords));
  }
}

TEST_P(RestoreTopTest, EqualsTheReferenceForEveryNumberOfWords) {
  for (const size_t nwords : wordGrid()) {
    for (const bool ternary : {false, true}) ASSERT_NO_FATAL_FAILURE(expectEqualToReference(3, ternary, nwords));
  }
}

SIGNCCL_FOR_ALL_KERNELS(RestoreTopTest);

}  // namespace
}  // namespace signccl
