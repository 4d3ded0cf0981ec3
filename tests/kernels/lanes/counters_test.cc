// SPDX-License-Identifier: Apache-2.0
// merge, clamp, decide and restoreTop on a GPU, beyond what tests/kernels/counters_test.cc asks of every instance:
// planes at all alignments, and launches of all sizes.
#include "kernels/lanes/counters.h"

#include <functional>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "lanes_test_support.h"

namespace signccl {
namespace {

/// Planes of one call. Operands may be aligned otherwise than results.
struct Case {
  Alignment operands;
  Alignment results;
  size_t nwords;
};

/// Calls `expected` once and `launched` once for each launch on planes made alike, and compares what they wrote.
void expectEqual(const Case& c, int nplanes, const std::function<void(PlanesAt&)>& expected,
                 const std::function<void(PlanesAt&, size_t nblocks)>& launched) {
  PlanesAt wanted(c.results, nplanes, c.nwords);
  expected(wanted);
  for (const size_t nblocks : kLaunches) {
    PlanesAt written(c.results, nplanes, c.nwords);
    launched(written, nblocks);
    ASSERT_TRUE(written == wanted) << "operands aligned " << static_cast<int>(c.operands) << ", results "
                                   << static_cast<int>(c.results) << ", " << c.nwords << " words, " << nblocks
                                   << " blocks";
  }
}

void forEachCase(const std::function<void(const Case&)>& body) {
  for (const Alignment operands : kAlignments) {
    for (const Alignment results : kAlignments) {
      for (const size_t nwords : kWordCounts) {
        ASSERT_NO_FATAL_FAILURE(body({operands, results, nwords}));
      }
    }
  }
}

TEST(LanesMergeTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  forEachCase([](const Case& c) {
    const PlanesAt a(c.operands, 5, c.nwords);
    const PlanesAt b(Alignment::kQuads, 3, c.nwords);
    expectEqual(
        c, 6, [&](PlanesAt& sum) { referenceKernels().merge(a.view(), b.view(), c.nwords, sum.planes()); },
        [&](PlanesAt& sum, size_t nblocks) {
          launch<lanes::MergeBody>(MergeArguments{a.view(), b.view(), c.nwords, sum.planes()}, nblocks);
        });
  });
}

TEST(LanesMergeTest, TheSumMayReplaceAnOperandForEveryLaunch) {
  forEachCase([](const Case& c) {
    const PlanesAt a(c.operands, 4, c.nwords);
    expectEqual(
        c, 4, [&](PlanesAt& sum) { referenceKernels().merge(a.view(), sum.view(), c.nwords, sum.planes()); },
        [&](PlanesAt& sum, size_t nblocks) {
          launch<lanes::MergeBody>(MergeArguments{a.view(), sum.view(), c.nwords, sum.planes()}, nblocks);
        });
  });
}

TEST(LanesClampTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  forEachCase([](const Case& c) {
    const PlanesAt in(c.operands, 5, c.nwords);
    expectEqual(
        c, 4, [&](PlanesAt& out) { referenceKernels().clamp(in.view(), 9, 20, c.nwords, out.planes()); },
        [&](PlanesAt& out, size_t nblocks) {
          launch<lanes::ClampBody>(ClampArguments{in.view(), 9, 20, c.nwords, out.planes()}, nblocks);
        });
  });
}

TEST(LanesDecideTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  for (const TieBits ties : {sameTies(0x0123'4567'89AB'CDEF), randomTies(3, 1000)}) {
    for (const uint64_t threshold : {0U, 4U, 9U, 100U}) {
      for (const bool has_nonnegative : {false, true}) {
        forEachCase([&](const Case& c) {
          const PlanesAt counts(c.operands, 3, c.nwords);
          const auto nonnegative = [&](PlanesAt& votes) { return has_nonnegative ? votes.plane(1) : nullptr; };
          expectEqual(
              c, 2,
              [&](PlanesAt& votes) {
                referenceKernels().decide(counts.view(), threshold, true, ties, c.nwords, votes.plane(0),
                                          nonnegative(votes));
              },
              [&](PlanesAt& votes, size_t nblocks) {
                const Decision decision{threshold, true, ties, votes.plane(0), nonnegative(votes)};
                launch<lanes::DecideBody>(DecideArguments{counts.view(), decision, c.nwords}, nblocks);
              });
        });
      }
    }
  }
}

TEST(LanesRestoreTopTest, EqualsTheReferenceAtEveryAlignmentForEveryLaunch) {
  for (const bool is_ternary : {false, true}) {
    forEachCase([&](const Case& c) {
      const PlanesAt low(c.operands, 3, c.nwords);
      const PlanesAt own(c.operands, 2, c.nwords);
      const Word* own_positive = is_ternary ? own.plane(0) : nullptr;
      expectEqual(
          c, 1,
          [&](PlanesAt& top) {
            referenceKernels().restoreTop(low.view(), own_positive, own.plane(1), c.nwords, top.plane(0));
          },
          [&](PlanesAt& top, size_t nblocks) {
            const RestoreTopArguments arguments{low.view(), own_positive, own.plane(1), c.nwords, top.plane(0)};
            launch<lanes::RestoreTopBody>(arguments, nblocks);
          });
    });
  }
}

TEST(LanesDecideTest, TiesOfAReplayAreThoseOfItsNumber) {
  constexpr size_t kWords = 65;
  const PlanesAt counts(Alignment::kQuads, 3, kWords);
  const uint32_t replay = 9;
  PlanesAt expected(Alignment::kQuads, 1, kWords);
  referenceKernels().decide(counts.view(), 3, true, randomTies(replayCall(40, replay), 2), kWords, expected.plane(0),
                            nullptr);
  PlanesAt votes(Alignment::kQuads, 1, kWords);
  const Decision decision{3, true, {true, 40, 2}, votes.plane(0), nullptr, &replay};
  launch<lanes::DecideBody>(DecideArguments{counts.view(), decision, kWords}, 1);
  EXPECT_TRUE(votes == expected);
}

}  // namespace
}  // namespace signccl
