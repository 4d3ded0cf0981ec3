// SPDX-License-Identifier: Apache-2.0
#include "comm/communicator.h"

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "comm_ranks.h"
#include "support/allocation_counter.h"
#include "support/caught.h"
#include "support/random_tie.h"
#include "support/rank_threads.h"
#include "support/sanitizers.h"
#include "support/sign_reference.h"

namespace signccl {
namespace {

using Signs = std::vector<std::int8_t>;

TEST(CommunicatorTest, EveryRankGetsTheVote) {
  CommRanks ranks(3);
  runAsRanks(3, [&](Rank rank) {
    Call call(rank == 0 ? Signs{1, 1, -1} : rank == 1 ? Signs{1, -1, -1} : Signs{-1, 1, -1});
    call.run(ranks[rank]);
    EXPECT_EQ(call.result(), (Signs{1, 1, -1}));
  });
}

TEST(CommunicatorTest, GroupOfOneRankNeedsNobody) {
  CommRanks ranks(1);
  Call call({5, -5, 0});
  call.run(ranks[0], {.op = SignOp::kAvg, .votes_per_rank = 2});
  EXPECT_EQ(call.result(), (Signs{1, -1, 0}));
}

/// The result of call `number` if all of its elements are tied.
Signs tiesOf(std::uint64_t number, std::size_t count) {
  Signs signs(count);
  for (std::size_t i = 0; i < count; ++i) signs[i] = randomTieIsPositive(number, i) ? std::int8_t{1} : std::int8_t{-1};
  return signs;
}

TEST(CommunicatorTest, EveryCallCountsForRandomTiesInGroupsToo) {
  constexpr std::size_t kCount = 100;
  CommRanks ranks(2);
  runAsRanks(2, [&](Rank rank) {
    const Signs own(kCount, rank == 0 ? std::int8_t{1} : std::int8_t{-1});
    Call first(own);
    first.run(ranks[rank]);
    EXPECT_EQ(first.result(), tiesOf(0, kCount));

    Call second(own);
    Call empty(Signs{});
    Call fourth(own);
    Segment group[] = {second.segment(), empty.segment(), fourth.segment()};
    for (Segment& segment : group) segment.call = ranks[rank].takeCallNumber();
    ranks[rank].wait(ranks[rank].submit({.rules = {}, .segments = group}));
    EXPECT_EQ(second.result(), tiesOf(1, kCount));
    EXPECT_EQ(fourth.result(), tiesOf(3, kCount));

    Call fifth(own);
    fifth.run(ranks[rank]);
    EXPECT_EQ(fifth.result(), tiesOf(4, kCount));
  });
}

TEST(CommunicatorTest, BackgroundOperationsAreCarriedOutInTheOrderOfTheirCalls) {
  CommRanks ranks(2);
  Call first = zeroAgainstTheRest(0, 100);
  Call second = zeroAgainstTheRest(0, 100);
  Operation& one = first.submit(ranks[0], {}, /*in_background=*/true);
  Operation& two = second.submit(ranks[0], {}, /*in_background=*/true);
  EXPECT_FALSE(endsIfDone(ranks[0], one));
  EXPECT_FALSE(endsIfDone(ranks[0], two));
  zeroAgainstTheRest(1, 100).run(ranks[1]);
  ranks[0].wait(one);
  EXPECT_FALSE(endsIfDone(ranks[0], two)) << "rank 1 has called only one";
  zeroAgainstTheRest(1, 100).run(ranks[1]);
  while (!endsIfDone(ranks[0], two)) std::this_thread::yield();
  EXPECT_EQ(second.result(), tiesOf(1, 100));
}

TEST(CommunicatorTest, WaitingForALaterOperationCarriesOutTheEarlierOnes) {
  CommRanks ranks(2);
  runAsRanks(2, [&](Rank rank) {
    std::vector<Call> calls;
    std::vector<Operation*> operations;
    for (int i = 0; i < 5; ++i) {
      calls.push_back(zeroAgainstTheRest(rank, static_cast<std::size_t>(i)));
    }
    for (int i = 0; i < 5; ++i) {
      const bool in_background = (i + rank) % 2 == 0;
      operations.push_back(&calls[static_cast<std::size_t>(i)].submit(ranks[rank], {}, in_background));
    }
    ranks[rank].wait(*operations[4]);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(endsIfDone(ranks[rank], *operations[static_cast<std::size_t>(i)]));
  });
}

TEST(CommunicatorTest, EveryHolderLearnsTheOutcome) {
  CommRanks ranks(2);
  runAsRanks(2, [&](Rank rank) {
    Call call = zeroAgainstTheRest(rank, 10);
    Operation& operation = call.submit(ranks[rank], {}, /*in_background=*/true, /*holders=*/3);
    std::jthread other([&] { ranks[rank].wait(operation); });
    ranks[rank].wait(operation);
    other.join();
    EXPECT_TRUE(endsIfDone(ranks[rank], operation));
  });
}

TEST(CommunicatorTest, EmptyExchangeWaitsUntilEveryRankHasCalledIt) {
  CommRanks ranks(2);
  Call nothing(Signs{});
  Operation& operation = nothing.submit(ranks[0]);
  for (int i = 0; i < 100; ++i) ranks[0].step();
  EXPECT_FALSE(endsIfDone(ranks[0], operation));
  Call other(Signs{});
  Operation& answer = other.submit(ranks[1]);
  while (!endsIfDone(ranks[1], answer)) ranks[1].step();
  while (!endsIfDone(ranks[0], operation)) ranks[0].step();
}

TEST(CommunicatorTest, CountersCountWhatTheDirectAlgorithmSends) {
  constexpr int kRanks = 4;
  constexpr std::size_t kCount = std::size_t{kRanks} * 10 * kWordBits;
  CommOptions options = testOptions();
  options.algorithm = Algorithm::kDirect;
  CommRanks ranks(kRanks, options);
  EXPECT_FALSE(ranks[0].counters().last_algorithm);
  runAsRanks(kRanks, [&](Rank rank) {
    Call call = zeroAgainstTheRest(rank, kCount);
    call.run(ranks[rank]);
    Call first = zeroAgainstTheRest(rank, 1);
    Call second = zeroAgainstTheRest(rank, 0);
    const Segment group[] = {first.segment(), second.segment()};
    ranks[rank].wait(ranks[rank].submit({.rules = {}, .segments = group}));
  });
  // A tenth of the signs to each of three ranks, and the result of the own tenth to each: 10 words a message. The
  // second exchange has one word, which one rank owns.
  std::uint64_t messages = 0;
  for (Rank rank = 0; rank < kRanks; ++rank) {
    const CommCounters counters = ranks[rank].counters();
    const bool owns_the_word = counters.engine.messages.messages_received == 6U + 3U;
    EXPECT_EQ(counters.engine.messages.messages_sent, 6U + (owns_the_word ? 3U : 1U));
    EXPECT_EQ(counters.engine.messages.bytes_sent, 8U * (60U + (owns_the_word ? 3U : 1U)));
    EXPECT_EQ(counters.engine.messages.bytes_received, 8U * (60U + (owns_the_word ? 3U : 1U)));
    EXPECT_EQ(counters.exchanges, 2U);
    EXPECT_EQ(counters.collectives, 3U);
    EXPECT_GT(counters.engine.scratch_bytes, 0U);
    EXPECT_EQ(counters.last_algorithm, Algorithm::kDirect);
    messages += counters.engine.messages.messages_sent;
  }
  EXPECT_EQ(messages, 4U * 6 + 6);
}

TEST(CommunicatorTest, FinalizeWaitsForWhatIsUnderWayAndThenTakesNoMore) {
  CommRanks ranks(2);
  std::vector<Call> calls;
  for (Rank rank = 0; rank < 2; ++rank) calls.push_back(zeroAgainstTheRest(rank, 5000));
  runAsRanks(2, [&](Rank rank) {
    Operation& operation = calls[static_cast<std::size_t>(rank)].submit(ranks[rank], {}, /*in_background=*/true);
    ranks[rank].finalize();
    EXPECT_TRUE(endsIfDone(ranks[rank], operation));
    EXPECT_EQ(ranks[rank].asyncError(), signcclSuccess);
    ranks[rank].finalize();
    EXPECT_EQ(caught([&] { Call({1}).run(ranks[rank]); }),
              (Caught{signcclInvalidUsage, "the communicator is finalized; it takes no more collectives"}));
    EXPECT_EQ(caught([&] { ranks[rank].postSplit(0, 0, testOptions()); }).code, signcclInvalidUsage);
  });
}

TEST(CommunicatorTest, AsyncErrorSaysThatWorkIsUnderWay) {
  CommRanks ranks(2);
  EXPECT_EQ(ranks[0].asyncError(), signcclSuccess);
  Call call = zeroAgainstTheRest(0, 10);
  Operation& operation = call.submit(ranks[0], {}, /*in_background=*/true);
  EXPECT_EQ(ranks[0].asyncError(), signcclInProgress);
  zeroAgainstTheRest(1, 10).run(ranks[1]);
  ranks[0].wait(operation);
  EXPECT_EQ(ranks[0].asyncError(), signcclSuccess);
}

TEST(CommunicatorTest, SplitGivesCommunicatorsOfTheColorsOrderedByKey) {
  CommRanks ranks(5);
  // Ranks 4, 2 and 0 in this order; ranks 1 and 3 in none.
  runAsRanks(5, [&](Rank rank) {
    ranks[rank].postSplit(rank % 2 == 0 ? 7 : -1, -rank, testOptions());
    const std::unique_ptr<Communicator> part = ranks[rank].awaitSplit();
    if (rank % 2 == 1) {
      EXPECT_EQ(part, nullptr);
      return;
    }
    ASSERT_NE(part, nullptr);
    EXPECT_EQ(part->nranks(), 3);
    EXPECT_EQ(part->rank(), (4 - rank) / 2);
    Call call(part->rank() == 0 ? Signs{1, 1} : part->rank() == 1 ? Signs{-1, 1} : Signs{-1, -1});
    call.run(*part);
    EXPECT_EQ(call.result(), (Signs{-1, 1}));
  });
}

TEST(CommunicatorTest, SplitNeedsAnIdleCommunicator) {
  CommRanks ranks(2);
  Call call = zeroAgainstTheRest(0, 10);
  Operation& operation = call.submit(ranks[0], {}, /*in_background=*/true);
  EXPECT_EQ(caught([&] { ranks[0].postSplit(0, 0, testOptions()); }),
            (Caught{signcclInvalidUsage, "1 collective(s) are under way on rank 0; a split needs none"}));
  zeroAgainstTheRest(1, 10).run(ranks[1]);
  ranks[0].wait(operation);
}

TEST(CommunicatorTest, ADuplicateIsMadeAmidCollectivesAndVotesApartFromThem) {
  CommRanks ranks(3);
  runAsRanks(3, [&](Rank rank) {
    Call around = zeroAgainstTheRest(rank, 10);
    Operation& operation = around.submit(ranks[rank], {}, /*in_background=*/true);
    ranks[rank].postDuplicate();
    const std::unique_ptr<Communicator> duplicate = ranks[rank].awaitDuplicate("other");
    ASSERT_NE(duplicate, nullptr);
    EXPECT_EQ(duplicate->rank(), rank);
    EXPECT_EQ(duplicate->nranks(), 3);
    EXPECT_EQ(duplicate->options().name, "other");
    Call call(rank == 0 ? Signs{1, 1} : rank == 1 ? Signs{-1, 1} : Signs{-1, -1});
    call.run(*duplicate);
    EXPECT_EQ(call.result(), (Signs{-1, 1}));
    ranks[rank].wait(operation);
    EXPECT_EQ(around.result(), Signs(10, -1));
    CommCounters counters = ranks[rank].counters();
    EXPECT_EQ(counters.exchanges, 1U);
    counters.add(duplicate->counters());
    EXPECT_EQ(counters.exchanges, 2U);
    EXPECT_EQ(counters.collectives, 2U);
  });
}

TEST(CommunicatorTest, SplitsAndGatheringsWaitForADuplicate) {
  CommRanks ranks(2);
  runAsRanks(2, [&](Rank rank) {
    ranks[rank].postDuplicate();
    std::unique_ptr<Communicator> duplicate;
    std::thread other([&] { duplicate = ranks[rank].awaitDuplicate("other"); });
    EXPECT_EQ(ranks[rank].allGather(std::to_string(rank)), (std::vector<std::string>{"0", "1"}));
    ranks[rank].postSplit(0, -rank, testOptions());
    ranks[rank].joinSplit();
    const std::unique_ptr<Communicator> reversed = ranks[rank].awaitSplit();
    other.join();
    EXPECT_EQ(duplicate->rank(), rank);
    EXPECT_EQ(reversed->rank(), 1 - rank);
  });
}

TEST(CommunicatorTest, ACommunicatorThatHasFailedMakesNoDuplicate) {
  CommRanks ranks(2);
  ranks[0].postDuplicate();
  ranks[1].abort("enough");
  EXPECT_EQ(caught([&] { ranks[0].awaitDuplicate("other"); }).code, signcclRemoteError);
  EXPECT_EQ(caught([&] { ranks[1].postDuplicate(); }).code, signcclRemoteError);
  EXPECT_EQ(caught([&] { ranks[1].requireUsable(); }).code, signcclRemoteError);
}

/// One thread calls for all ranks.
void runInTurn(CommRanks& ranks, std::vector<Call>& calls) {
  constexpr Rank kMost = 4;
  std::array<Operation*, kMost> open{};
  for (Rank rank = 0; rank < ranks.size(); ++rank) {
    open[static_cast<std::size_t>(rank)] = &calls[static_cast<std::size_t>(rank)].submit(ranks[rank]);
  }
  for (int left = ranks.size(); left > 0;) {
    for (Rank rank = 0; rank < ranks.size(); ++rank) {
      Operation*& operation = open[static_cast<std::size_t>(rank)];
      if (operation == nullptr) continue;
      ranks[rank].step();
      if (!endsIfDone(ranks[rank], *operation)) continue;
      operation = nullptr;
      --left;
    }
  }
}

TEST(CommunicatorTest, OneThreadMayDriveSeveralRanks) {
  CommRanks ranks(4);
  std::vector<Call> calls;
  for (Rank rank = 0; rank < 4; ++rank) calls.push_back(zeroAgainstTheRest(rank, 1000));
  runInTurn(ranks, calls);
  for (const Call& call : calls) EXPECT_EQ(call.result(), Signs(1000, -1));
}

TEST(CommunicatorTest, NothingIsAllocatedAfterWarmUp) {
  if (kSanitized) GTEST_SKIP() << "sanitizers allocate";
  for (const Algorithm algorithm : allAlgorithms()) {
    CommOptions options = testOptions();
    options.algorithm = algorithm;
    CommRanks ranks(4, options);
    std::vector<Call> calls;
    for (Rank rank = 0; rank < 4; ++rank) calls.push_back(zeroAgainstTheRest(rank, 1000));
    for (int i = 0; i < 50; ++i) runInTurn(ranks, calls);
    const std::size_t before = allocationCount();
    for (int i = 0; i < 20; ++i) runInTurn(ranks, calls);
    EXPECT_EQ(allocationCount(), before) << algorithmName(algorithm);
  }
}

/// Numbered calls of changing kind, in the foreground and in the background, checked against the reference.
void runManyCalls(Communicator& comm, int ncalls) {
  const Rank rank = comm.rank();
  const auto input_of = [](Rank r, int number, std::size_t count) {
    std::mt19937_64 random(static_cast<std::uint64_t>(number * 100 + r));
    std::vector<std::byte> input(count);
    fillElements(ElementType::kInt8, count, random, input.data());
    return input;
  };
  struct Open {
    std::vector<std::byte> send;
    std::vector<std::byte> recv;
    std::vector<std::byte> expected;
    Operation* operation;
  };
  std::mt19937 own(static_cast<unsigned>(rank));  // what ranks may do differently
  std::vector<Open> open;
  for (int number = 0; number < ncalls; ++number) {
    std::mt19937 common(static_cast<unsigned>(number));
    const std::size_t count = common() % 3000;
    const ReferenceCall reference{.op = common() % 2 == 0 ? SignOp::kVote : SignOp::kAvg,
                                  .is_ternary = common() % 2 == 0,
                                  .tie = TieRule::kRandom,
                                  .call = static_cast<std::uint64_t>(number),
                                  .count = count,
                                  .sendtype = ElementType::kInt8,
                                  .recvtype = ElementType::kInt8};
    std::vector<std::vector<std::byte>> inputs;
    std::vector<const std::byte*> pointers;
    for (Rank r = 0; r < comm.nranks(); ++r) pointers.push_back(inputs.emplace_back(input_of(r, number, count)).data());
    Open& call = open.emplace_back(Open{inputs[static_cast<std::size_t>(rank)], std::vector<std::byte>(count),
                                        referenceResult(reference, pointers), nullptr});
    const Segment segment{.source = elementSource(ElementType::kInt8, call.send.data()),
                          .sink = elementSink(ElementType::kInt8, call.recv.data()),
                          .count = count,
                          .call = comm.takeCallNumber()};
    const ExchangeRules rules{.op = reference.op, .votes_per_rank = reference.is_ternary ? 2 : 1};
    const bool in_background = own() % 2 == 0;
    call.operation = &comm.submit({.rules = rules, .segments = {&segment, 1}, .in_background = in_background});
    if (in_background && open.size() < 6) continue;
    std::shuffle(open.begin(), open.end(), own);
    for (Open& finished : open) {
      comm.wait(*finished.operation);
      ASSERT_EQ(finished.recv, finished.expected);
    }
    open.clear();
  }
  for (Open& finished : open) comm.wait(*finished.operation);
}

TEST(CommunicatorTest, ManyCallsOfManyRanksInBothGroundsAreExact) {
  CommOptions options = testOptions();
  options.nthreads = 2;
  options.slice_bytes = 64;
  CommRanks ranks(5, options);
  runAsRanks(5, [&](Rank rank) {
    runManyCalls(ranks[rank], 200);
    ranks[rank].finalize();
  });
}

}  // namespace
}  // namespace signccl
