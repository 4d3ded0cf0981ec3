// SPDX-License-Identifier: Apache-2.0
// What ranks learn when one of them aborts or leaves, and who is gone.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "failing_ranks.h"

namespace signccl {
namespace {

TEST(AbortTest, AbortFromAnotherThreadEndsTheCallsOfEveryRank) {
  for (const Rank aborting : {0, 2}) {
    CommRanks ranks(3);
    std::jthread stopper([&] {
      while (ranks[0].asyncError() == signcclSuccess) std::this_thread::yield();  // until rank 0 is in its call
      ranks[aborting].abort();
    });
    const auto errors = errorsOf(2, [&](Rank rank) { zeroAgainstTheRest(rank, 1000).run(ranks[rank]); });
    EXPECT_EQ(errors[0],
              (Caught{signcclRemoteError, "rank " + std::to_string(aborting) + " aborted the communicator"}));
    EXPECT_EQ(errors[1], errors[0]);
    EXPECT_EQ(ranks[2].asyncError(), signcclRemoteError);
  }
}

TEST(AbortTest, AbortEndsASplit) {
  CommRanks ranks(2);
  ranks[0].postSplit(0, 0, testOptions());
  std::jthread stopper([&] { ranks[1].abort(); });
  EXPECT_EQ(caught([&] { ranks[0].awaitSplit(); }), (Caught{signcclRemoteError, "rank 1 aborted the communicator"}));
}

TEST(AbortTest, AbortOfASplitOffCommunicatorLeavesTheOldOneUsable) {
  CommRanks ranks(2);
  runAsRanks(2, [&](Rank rank) {
    ranks[rank].postSplit(0, 0, testOptions());
    const auto part = ranks[rank].awaitSplit();
    part->abort();
    EXPECT_EQ(caught([&] { Call({1}).run(*part); }).code, signcclRemoteError);
    zeroAgainstTheRest(rank, 100).run(ranks[rank]);
  });
}

TEST(LeaveTest, RankThatLeavesWhileOthersWaitIsNamedToThem) {
  CommRanks ranks(3);
  std::jthread leaver([&] {
    while (ranks[0].asyncError() == signcclSuccess) std::this_thread::yield();
    ranks[2].leave();
  });
  const auto errors = errorsOf(2, [&](Rank rank) { zeroAgainstTheRest(rank, 1000).run(ranks[rank]); });
  for (const Caught& error : errors) {
    EXPECT_EQ(error.code, signcclRemoteError);
    EXPECT_THAT(error.message,
                ::testing::MatchesRegex("rank 2 destroyed its communicator and takes no part in exchange "
                                        "number 0, which rank [01] has called"));
  }
}

TEST(LeaveTest, CallThatNeedsADestroyedRankFails) {
  CommRanks ranks(2);
  ranks.destroy(1);
  EXPECT_EQ(
      caught([&] { Call({1}).run(ranks[0]); }),
      (Caught{signcclRemoteError,
              "rank 1 destroyed its communicator and takes no part in exchange number 0, which rank 0 has called"}));
}

TEST(LeaveTest, RankMayBeDestroyedAsSoonAsItsOwnWorkIsDone) {
  for (int round = 0; round < 50; ++round) {
    CommRanks ranks(4);
    runAsRanks(4, [&](Rank rank) {
      zeroAgainstTheRest(rank, 2000).run(ranks[rank]);
      ranks.destroy(rank);
    });
  }
}

TEST(LeaveTest, RankDestroyedInTheMiddleOfACallIsNamedToTheOthers) {
  for (const Algorithm algorithm : allAlgorithms()) {
    CommRanks ranks(3, optionsWith(algorithm));
    Call abandoned = zeroAgainstTheRest(1, 100'000);
    abandoned.submit(ranks[1], {}, /*in_background=*/true);
    // The messages that it has sent stay readable for the others, who have yet to call.
    while (ranks[1].counters().last_algorithm != algorithm) std::this_thread::yield();
    ranks.destroy(1);
    for (const Rank rank : {0, 2}) {
      EXPECT_EQ(caught([&] { zeroAgainstTheRest(rank, 100'000).run(ranks[rank]); }),
                (Caught{signcclRemoteError,
                        "the communicator has failed: rank 1 destroyed its communicator while a "
                        "collective was under way"}));
    }
  }
}

TEST(LeaveTest, GroupThatFailedWhileRanksCountInPoolsEndsCleanly) {
  CommOptions options = optionsWith(Algorithm::kDirect);
  options.nthreads = 3;
  options.slice_bytes = 1024;
  for (int round = 0; round < 20; ++round) {
    CommRanks ranks(3, options);
    std::jthread stopper([&] {
      while (ranks[1].counters().exchanges < static_cast<std::uint64_t>(round)) std::this_thread::yield();
      ranks[round % 3].abort();
    });
    for (const Caught& error : errorsOf(3, [&](Rank rank) {
           while (true) zeroAgainstTheRest(rank, 100'000).run(ranks[rank]);
         })) {
      EXPECT_EQ(error.code, signcclRemoteError);
    }
  }
}

/// Keeps what the group of a rank says about its failure.
WrapGroup keepingFailures(std::vector<Group*>& groups) {
  return [&groups](std::unique_ptr<Group> inner) {
    groups.push_back(inner.get());
    return inner;
  };
}

TEST(GoneTest, RankThatAbortsIsGone) {
  std::vector<Group*> groups;
  CommRanks ranks(3, testOptions(), keepingFailures(groups));
  ranks[1].abort();
  EXPECT_EQ(groups[0]->failure().gone, (std::vector<Rank>{1}));
}

TEST(GoneTest, RankThatIsDestroyedInTheMiddleOfACallIsGone) {
  std::vector<Group*> groups;
  CommRanks ranks(3, testOptions(), keepingFailures(groups));
  Call call({1, 1, 1});
  call.submit(ranks[1], {}, /*in_background=*/true);
  ranks.destroy(1);
  EXPECT_EQ(groups[0]->failure().gone, (std::vector<Rank>{1}));
}

TEST(GoneTest, RanksThatDoNotCallBeforeTheDeadlineAreGone) {
  std::vector<Group*> groups;
  CommRanks ranks(3, optionsWith(Algorithm::kOneShot, std::chrono::milliseconds(50)), keepingFailures(groups));
  EXPECT_EQ(caught([&] { Call({1, 1, 1}).run(ranks[1]); }).code, signcclTimeout);
  EXPECT_EQ(groups[1]->failure().gone, (std::vector<Rank>{0, 2}));
}

TEST(GoneTest, PeerOfABrokenConnectionIsGone) {
  std::vector<Group*> groups;
  CommRanks ranks(3, testOptions(), [&](std::unique_ptr<Group> inner) -> std::unique_ptr<Group> {
    groups.push_back(inner.get());
    return std::make_unique<RewiredGroup>(std::move(inner), [](std::unique_ptr<Transport> transport, Rank rank) {
      return std::make_unique<BrokenTransport>(std::move(transport), [rank] { throw PeerError(rank, 2, "reset"); });
    });
  });
  EXPECT_EQ(caught([&] { zeroAgainstTheRest(0, 1000).run(ranks[0]); }).message,
            "rank 0 lost its connection to rank 2: reset");
  EXPECT_EQ(groups[1]->failure().gone, (std::vector<Rank>{2}));
}

}  // namespace
}  // namespace signccl
