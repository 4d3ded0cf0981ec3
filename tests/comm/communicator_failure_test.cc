// SPDX-License-Identifier: Apache-2.0
// What ranks learn when an exchange cannot end: disagreement, deadlines, broken transports.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "failing_ranks.h"
#include "support/faulty_transport.h"

namespace signccl {
namespace {

using ::testing::AnyOf;
using ::testing::StartsWith;

/// Every rank got `code` and one and the same text of a pair: who of the two came first is open.
void expectOnAll(const std::vector<Caught>& errors, signcclResult_t code, const std::string& text,
                 const std::string& or_text) {
  for (const Caught& error : errors) {
    EXPECT_EQ(error.code, code);
    EXPECT_THAT(error.message, AnyOf(text, or_text));
    EXPECT_EQ(error, errors[0]);
  }
}

TEST(DisagreementTest, RanksWithDifferentCountsAllGetBothRanksAndBothValues) {
  for (const Algorithm algorithm : allAlgorithms()) {
    CommRanks ranks(4, optionsWith(algorithm));
    const auto errors =
        errorsOf(4, [&](Rank rank) { zeroAgainstTheRest(rank, rank < 2 ? 500 : 600).run(ranks[rank]); });
    for (const Caught& error : errors) {
      EXPECT_EQ(error.code, signcclInvalidUsage);
      EXPECT_THAT(error.message,
                  ::testing::MatchesRegex(
                      "the ranks disagree in exchange number 0: count is "
                      "(500 on rank [01] and 600 on rank [23]|"
                      "600 on rank [23] and 500 on rank [01]) .a rank may have left out or repeated a call."));
      EXPECT_EQ(error, errors[0]);
    }
  }
}

TEST(DisagreementTest, EmptyCallDoesNotPassForAnother) {
  CommRanks ranks(2);
  expectOnAll(errorsOf(2, [&](Rank rank) { zeroAgainstTheRest(rank, rank == 0 ? 0 : 600).run(ranks[rank]); }),
              signcclInvalidUsage,
              "the ranks disagree in exchange number 0: count is 0 on rank 0 and 600 on rank 1 (a rank may have left "
              "out or repeated a call)",
              "the ranks disagree in exchange number 0: count is 600 on rank 1 and 0 on rank 0 (a rank may have left "
              "out or repeated a call)");
}

TEST(DisagreementTest, RanksWithDifferentRulesAllLearnIt) {
  const ExchangeRules others[] = {{.op = SignOp::kAvg}, {.votes_per_rank = 2}, {.tie = TieRule::kZero}};
  for (const ExchangeRules& other : others) {
    CommRanks ranks(3);
    const auto errors = errorsOf(
        3, [&](Rank rank) { zeroAgainstTheRest(rank, 100).run(ranks[rank], rank == 1 ? other : ExchangeRules{}); });
    for (const Caught& error : errors) {
      EXPECT_EQ(error.code, signcclInvalidUsage);
      EXPECT_THAT(error.message, ::testing::HasSubstr("rank 1"));
    }
  }
}

TEST(DisagreementTest, FailedCommunicatorTakesNoMoreAndSaysWhy) {
  CommRanks ranks(2);
  errorsOf(2, [&](Rank rank) { zeroAgainstTheRest(rank, rank == 0 ? 5 : 6).run(ranks[rank]); });
  const Caught error = caught([&] { Call({1}).run(ranks[0]); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(error.message, StartsWith("the communicator has failed: the ranks disagree in exchange number 0: "));
  EXPECT_EQ(ranks[0].asyncError(), signcclInvalidUsage);
  EXPECT_EQ(caught([&] { ranks[1].postSplit(0, 0, testOptions()); }).code, signcclInvalidUsage);
  ranks[0].finalize();
}

TEST(DisagreementTest, OperationsQueuedBehindFailWithTheFirst) {
  CommRanks ranks(2);
  const auto errors = errorsOf(2, [&](Rank rank) {
    Call first = zeroAgainstTheRest(rank, rank == 0 ? 5 : 6);
    Call second = zeroAgainstTheRest(rank, 7);
    Operation& one = first.submit(ranks[rank], {}, /*in_background=*/true);
    Operation* two = nullptr;
    const Caught late = caught([&] { two = &second.submit(ranks[rank], {}, /*in_background=*/true); });
    if (two != nullptr) {
      EXPECT_EQ(caught([&] { ranks[rank].wait(*two); }).code, signcclInvalidUsage);
    } else {
      EXPECT_EQ(late.code, signcclInvalidUsage);
    }
    ranks[rank].wait(one);
  });
  for (const Caught& error : errors) EXPECT_EQ(error.code, signcclInvalidUsage);
}

constexpr std::chrono::milliseconds kShort{50};

TEST(DeadlineTest, MessageNamesTheRankThatDidNotCall) {
  for (const Algorithm algorithm : allAlgorithms()) {
    CommRanks ranks(4, optionsWith(algorithm, kShort));
    // Rank 2 is silent. Under the direct algorithm everybody waits for everybody's result too, yet it alone is named.
    std::vector<Caught> errors = errorsOf(4, [&](Rank rank) {
      if (rank != 2) zeroAgainstTheRest(rank, 1000).run(ranks[rank]);
    });
    errors.erase(errors.begin() + 2);
    for (const Caught& error : errors) {
      EXPECT_EQ(error.code, signcclTimeout);
      // A rank may have had its deadline before another one had called.
      EXPECT_THAT(error.message,
                  ::testing::MatchesRegex("rank [013] waited 50 ms for ranks? .*2.* in exchange number 0"));
      EXPECT_EQ(error, errors[0]);
    }
  }
}

TEST(DeadlineTest, MessageOfAnEmptyExchangeNamesTheRankThatDidNotCall) {
  CommRanks ranks(2, optionsWith(Algorithm::kDirect, kShort));
  const Caught error = caught([&] { Call({}).run(ranks[0]); });
  EXPECT_EQ(error, (Caught{signcclTimeout, "rank 0 waited 50 ms for rank 1 in exchange number 0"}));
}

TEST(DeadlineTest, BackgroundOperationHasADeadlineToo) {
  CommRanks ranks(2, optionsWith(Algorithm::kDirect, kShort));
  Call call({1, 1, 1});
  Operation& operation = call.submit(ranks[0], {}, /*in_background=*/true);
  EXPECT_EQ(caught([&] { ranks[0].wait(operation); }),
            (Caught{signcclTimeout, "rank 0 waited 50 ms for rank 1 in exchange number 0"}));
  EXPECT_EQ(ranks[1].asyncError(), signcclTimeout);
}

TEST(DeadlineTest, FinalizeGivesTheErrorOfWhatWasUnderWay) {
  CommRanks ranks(2, optionsWith(Algorithm::kDirect, kShort));
  Call call({1, 1, 1});
  call.submit(ranks[0], {}, /*in_background=*/true);
  EXPECT_EQ(caught([&] { ranks[0].finalize(); }).code, signcclTimeout);
}

/// Transports that lose what rank `from` sends to rank `to`.
WrapGroup losing(Rank from, Rank to) {
  return rewired([from, to](std::unique_ptr<Transport> inner, Rank rank) {
    Faults faults;
    if (rank == from) faults.drops = [to](Rank peer, Tag) { return peer == to; };
    return std::make_unique<FaultyTransport>(std::move(inner), std::move(faults));
  });
}

TEST(DeadlineTest, MessageNamesTheRankWhoseMessageWasLostIfAllHaveCalled) {
  CommRanks ranks(3, optionsWith(Algorithm::kOneShot, std::chrono::milliseconds(2000)), losing(2, 0));
  const auto errors = errorsOf(3, [&](Rank rank) { zeroAgainstTheRest(rank, 1000).run(ranks[rank]); });
  // Rank 0 lacks the message, and what the others sent to it is not counted until it has come.
  for (const Caught& error : errors) {
    EXPECT_EQ(error.code, signcclTimeout);
    EXPECT_THAT(error.message, AnyOf("rank 0 waited 2000 ms for rank 2 in exchange number 0",
                                     "rank 1 waited 2000 ms for rank 0 in exchange number 0",
                                     "rank 2 waited 2000 ms for rank 0 in exchange number 0"));
    EXPECT_EQ(error, errors[0]);
  }
}

TEST(FailureTest, ErrorOfOneTransportReachesEveryRank) {
  const WrapGroup wrap = rewired([](std::unique_ptr<Transport> inner, Rank rank) -> std::unique_ptr<Transport> {
    if (rank != 1) return inner;
    return std::make_unique<BrokenTransport>(std::move(inner),
                                             [] { throw Error(signcclSystemError, "the cable is out"); });
  });
  // Several slices, so that nobody can be done before the third turn of rank 1.
  CommOptions options = optionsWith(Algorithm::kRing);
  options.slice_bytes = 64;
  CommRanks ranks(3, options, wrap);
  for (const Caught& error : errorsOf(3, [&](Rank rank) { zeroAgainstTheRest(rank, 60'000).run(ranks[rank]); })) {
    EXPECT_EQ(error, (Caught{signcclSystemError, "the cable is out"}));
  }
}

}  // namespace
}  // namespace signccl
