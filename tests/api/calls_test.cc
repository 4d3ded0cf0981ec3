// SPDX-License-Identifier: Apache-2.0
// The life of communicators, groups, non-blocking calls and counters.
#include <cmath>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

std::vector<float> alternating(std::size_t count, int rank) {
  std::vector<float> data(count);
  for (std::size_t i = 0; i < count; ++i) data[i] = (i + static_cast<std::size_t>(rank)) % 3 == 0 ? -1.0F : 1.0F;
  return data;
}

TEST(Lifecycle, RanksJoinByThread) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 5; ++rank) {
    threads.emplace_back([&, rank] {
      signcclComm_t comm = nullptr;
      ASSERT_EQ(signcclCommInitRank(&comm, 5, id, rank), signcclSuccess) << signcclGetLastError(nullptr);
      int value = -1;
      EXPECT_EQ(signcclCommCount(comm, &value), signcclSuccess);
      EXPECT_EQ(value, 5);
      EXPECT_EQ(signcclCommUserRank(comm, &value), signcclSuccess);
      EXPECT_EQ(value, rank);
      float sign = rank < 2 ? -1.0F : 1.0F;
      EXPECT_EQ(call(Case{}, &sign, &sign, 1, comm), signcclSuccess);
      EXPECT_EQ(sign, 1.0F);
      EXPECT_EQ(signcclCommFinalize(comm), signcclSuccess);
      EXPECT_EQ(call(Case{}, &sign, &sign, 1, comm), signcclInvalidUsage);
      EXPECT_THAT(signcclGetLastError(comm), HasSubstr("finalized"));
      EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Lifecycle, OneThreadJoinsForAllRanksInAGroup) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  std::vector<signcclComm_t> comms(3);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_EQ(signcclCommInitRank(&comms[static_cast<std::size_t>(rank)], 3, id, rank), signcclSuccess);
    EXPECT_EQ(comms[static_cast<std::size_t>(rank)], nullptr);
  }
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
  for (const signcclComm_t comm : comms) EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
}

TEST(Lifecycle, TheSameRankTwiceIsRefusedAndTheOthersGoOn) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  signcclComm_t first = nullptr;
  signcclComm_t again = nullptr;
  signcclComm_t second = nullptr;
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  EXPECT_EQ(signcclCommInitRank(&first, 2, id, 0), signcclSuccess);
  EXPECT_EQ(signcclCommInitRank(&again, 2, id, 0), signcclSuccess) << "ranks meet at the end of the group";
  EXPECT_EQ(signcclCommInitRank(&second, 2, id, 1), signcclSuccess);
  EXPECT_EQ(signcclGroupEnd(), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank 0 has joined this communicator already"));
  // Which of the two calls for rank 0 came first is open.
  EXPECT_NE(first == nullptr, again == nullptr);
  EXPECT_EQ(signcclCommDestroy(first == nullptr ? again : first), signcclSuccess);
  EXPECT_EQ(signcclCommDestroy(second), signcclSuccess);
}

TEST(Lifecycle, SplitOrdersByKeyAndLeavesOutNoColor) {
  Ranks ranks(5);
  std::vector<signcclComm_t> parts(5);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int rank = 0; rank < 5; ++rank) {
    const int color = rank == 4 ? SIGNCCL_SPLIT_NOCOLOR : rank % 2;
    ASSERT_EQ(signcclCommSplit(ranks[rank], color, -rank, &parts[static_cast<std::size_t>(rank)], nullptr),
              signcclSuccess);
  }
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  EXPECT_EQ(parts[4], nullptr);
  const int expected_rank[] = {1, 1, 0, 0};  // keys are descending
  for (int rank = 0; rank < 4; ++rank) {
    int value = -1;
    EXPECT_EQ(signcclCommCount(parts[static_cast<std::size_t>(rank)], &value), signcclSuccess);
    EXPECT_EQ(value, 2);
    EXPECT_EQ(signcclCommUserRank(parts[static_cast<std::size_t>(rank)], &value), signcclSuccess);
    EXPECT_EQ(value, expected_rank[rank]);
  }
  for (int rank = 0; rank < 4; ++rank)
    EXPECT_EQ(signcclCommDestroy(parts[static_cast<std::size_t>(rank)]), signcclSuccess);
}

TEST(Lifecycle, SplitRanksVoteAmongThemselves) {
  Ranks ranks(4);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    signcclComm_t part = nullptr;
    ASSERT_EQ(signcclCommSplit(comm, rank / 2, 0, &part, nullptr), signcclSuccess);
    float sign = rank < 2 ? -1.0F : 1.0F;
    EXPECT_EQ(call(Case{}, &sign, &sign, 1, part), signcclSuccess);
    EXPECT_EQ(sign, rank < 2 ? -1.0F : 1.0F);
    EXPECT_EQ(signcclCommDestroy(part), signcclSuccess);
  });
}

TEST(Lifecycle, VersionAndErrorStringsAreThere) {
  int version = 0;
  EXPECT_EQ(signcclGetVersion(&version), signcclSuccess);
  EXPECT_EQ(version, SIGNCCL_VERSION_CODE);
  for (int code = 0; code <= signcclNumResults; ++code) {
    EXPECT_GT(std::string(signcclGetErrorString(static_cast<signcclResult_t>(code))).size(), 5U);
  }
}

TEST(Group, TravelsAsOneExchangeAndGivesWhatSingleCallsGive) {
  constexpr int kCalls = 6;
  const auto run = [](bool grouped, signcclCommStats_t& stats) {
    Ranks ranks(4);
    std::vector<std::vector<float>> results(kCalls);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      std::vector<std::vector<float>> data;
      for (int i = 0; i < kCalls; ++i) data.push_back(alternating(100 + 37 * static_cast<std::size_t>(i), rank));
      if (grouped) signcclGroupStart();
      for (auto& buffer : data)
        EXPECT_EQ(call(Case{}, buffer.data(), buffer.data(), buffer.size(), comm), signcclSuccess);
      if (grouped) signcclGroupEnd();
      if (rank == 0) results = std::move(data);
    });
    stats.size = sizeof stats;
    EXPECT_EQ(signcclCommGetStats(ranks[0], &stats), signcclSuccess);
    return results;
  };
  signcclCommStats_t single{};
  signcclCommStats_t grouped{};
  // Ties depend on the number of the call: equal results show that calls in a group are counted one by one.
  EXPECT_EQ(run(false, single), run(true, grouped));
  EXPECT_EQ(single.exchanges, 6U);
  EXPECT_EQ(grouped.exchanges, 1U);
  EXPECT_EQ(single.collectives, 6U);
  EXPECT_EQ(grouped.collectives, 6U);
  EXPECT_LT(grouped.messagesSent, single.messagesSent);
}

TEST(Group, MixesTypesAndRules) {
  Ranks ranks(3);
  std::vector<std::vector<float>> votes;
  std::vector<std::vector<double>> means;
  std::vector<std::vector<float>> inputs;
  for (int rank = 0; rank < 3; ++rank) {
    inputs.push_back(alternating(500, rank));
    votes.emplace_back(500);
    means.emplace_back(500);
  }
  const Case average{SignOp::kAvg, signcclFloat32, signcclFloat64, signcclZeroTernary, signcclTieZero};
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);  // nested
  for (int rank = 0; rank < 3; ++rank) {
    const auto index = static_cast<std::size_t>(rank);
    ASSERT_EQ(call(Case{}, inputs[index].data(), votes[index].data(), 500, ranks[rank]), signcclSuccess);
    ASSERT_EQ(call(average, inputs[index].data(), means[index].data(), 500, ranks[rank]), signcclSuccess);
  }
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(votes[0], std::vector<float>(500)) << "the inner end does nothing yet";
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(votes[rank], std::vector<float>(500, 1.0F));
    EXPECT_EQ(means[rank], std::vector<double>(500, 1.0 / 3.0));
  }
}

TEST(Group, EndWithoutStartIsRefused) {
  EXPECT_EQ(signcclGroupEnd(), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("without signcclGroupStart()"));
}

TEST(Group, RefusesCollectivesBesideInitialisations) {
  Ranks ranks(1);
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  signcclComm_t comm = nullptr;
  float value = 1.0F;
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  EXPECT_EQ(signcclCommInitRank(&comm, 1, id, 0), signcclSuccess);
  EXPECT_EQ(call(Case{}, &value, &value, 1, ranks[0]), signcclInvalidUsage);
  EXPECT_EQ(signcclGroupEnd(), signcclInvalidUsage);
  EXPECT_EQ(comm, nullptr);
}

TEST(NonBlocking, RequestsCompleteInTheBackground) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    constexpr int kOutstanding = 8;
    std::vector<std::vector<float>> data;
    std::vector<signcclRequest_t> requests(kOutstanding);
    for (int i = 0; i < kOutstanding; ++i) data.push_back(alternating(10'000, rank));
    for (std::size_t i = 0; i < kOutstanding; ++i) {
      ASSERT_EQ(signcclAllReduceVoteAsync(data[i].data(), data[i].data(), data[i].size(), signcclFloat32,
                                          signcclFloat32, nullptr, comm, nullptr, &requests[i]),
                signcclSuccess);
    }
    for (std::size_t i = 0; i < kOutstanding; ++i) {
      if (i % 2 == 0) {
        EXPECT_EQ(signcclRequestWait(&requests[i]), signcclSuccess);
      } else {
        for (int done = 0; done == 0;) ASSERT_EQ(signcclRequestTest(&requests[i], &done), signcclSuccess);
      }
      EXPECT_EQ(requests[i], nullptr);
      EXPECT_EQ(data[i], std::vector<float>(10'000, 1.0F));
    }
    EXPECT_EQ(signcclRequestWait(&requests[0]), signcclInvalidArgument);
  });
}

TEST(NonBlocking, BlockingCallsWaitForTheirTurn) {
  Ranks ranks(2);
  ranks.inThreads([&](int, signcclComm_t comm) {
    std::vector<float> first(200'000, -1.0F);
    std::vector<float> second(10, 1.0F);
    signcclRequest_t request = nullptr;
    ASSERT_EQ(signcclAllReduceAvgAsync(first.data(), first.data(), first.size(), signcclFloat32, signcclFloat32,
                                       nullptr, comm, nullptr, &request),
              signcclSuccess);
    EXPECT_EQ(call(Case{}, second.data(), second.data(), second.size(), comm), signcclSuccess);
    // Carried out in the order of the calls, so the first one is complete.
    int done = 0;
    EXPECT_EQ(signcclRequestTest(&request, &done), signcclSuccess);
    EXPECT_EQ(done, 1);
    EXPECT_EQ(first, std::vector<float>(200'000, -1.0F));
  });
}

TEST(NonBlocking, BoundedWaitSaysWhetherTheCallIsComplete) {
  Ranks ranks(2);
  std::vector<std::vector<float>> data = {alternating(1'000, 0), alternating(1'000, 0)};
  std::vector<signcclRequest_t> requests(2);
  const auto begin = [&](std::size_t rank) {
    float* const mine = data[rank].data();
    EXPECT_EQ(signcclAllReduceVoteAsync(mine, mine, 1'000, signcclFloat32, signcclFloat32, nullptr,
                                        ranks[static_cast<int>(rank)], nullptr, &requests[rank]),
              signcclSuccess);
  };
  begin(0);
  int done = 9;
  for (const int timeout_ms : {0, 20}) {
    EXPECT_EQ(signcclRequestWaitFor(&requests[0], timeout_ms, &done), signcclSuccess);
    EXPECT_EQ(done, 0) << "rank 1 has not called";
    EXPECT_NE(requests[0], nullptr);
  }
  EXPECT_EQ(signcclRequestWaitFor(&requests[0], -1, &done), signcclInvalidArgument);
  EXPECT_EQ(signcclRequestWaitFor(&requests[0], 1, nullptr), signcclInvalidArgument);
  begin(1);
  for (signcclRequest_t& request : requests) {
    for (done = 0; done == 0;) ASSERT_EQ(signcclRequestWaitFor(&request, 10, &done), signcclSuccess);
    EXPECT_EQ(request, nullptr);
  }
  EXPECT_EQ(data[0], alternating(1'000, 0));
  EXPECT_EQ(signcclRequestWaitFor(&requests[0], 10, &done), signcclInvalidArgument) << "it is NULL";
}

TEST(NonBlocking, BoundedWaitGivesTheErrorOfTheCall) {
  Ranks ranks(2);
  float value = 1;
  signcclRequest_t request = nullptr;
  EXPECT_EQ(signcclAllReduceVoteAsync(&value, &value, 1, signcclFloat32, signcclFloat32, nullptr, ranks[0], nullptr,
                                      &request),
            signcclSuccess);
  signcclCommAbort(ranks[1]);
  int done = 0;
  signcclResult_t result = signcclSuccess;
  while (done == 0) result = signcclRequestWaitFor(&request, 10, &done);
  EXPECT_EQ(result, signcclRemoteError);
  EXPECT_EQ(request, nullptr);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted"));
}

TEST(NonBlocking, DestroyCompletesWhatIsOutstanding) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<float> data(100'000, -1.0F);
    signcclRequest_t request = nullptr;
    ASSERT_EQ(signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                        comm, nullptr, &request),
              signcclSuccess);
    EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[rank], nullptr)), signcclSuccess);
    EXPECT_EQ(data, std::vector<float>(100'000, -1.0F));
    EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
  });
}

TEST(NonBlocking, FailuresComeWithTheRequest) {
  Ranks ranks(2);
  std::vector<float> data(1000, 1.0F);
  signcclRequest_t request = nullptr;
  ASSERT_EQ(signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                      ranks[0], nullptr, &request),
            signcclSuccess);
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(ranks[0], &state), signcclSuccess);
  EXPECT_EQ(state, signcclInProgress);
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&request), signcclRemoteError);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank 1 aborted"));
}

TEST(NonBlocking, RequestsOfAGroupStartAtItsEnd) {
  Ranks ranks(2);
  std::vector<float> data(1000, -1.0F);
  std::vector<float> other(1000, -1.0F);
  std::vector<signcclRequest_t> requests(2);
  const auto vote = [&](std::vector<float>& buffer, int rank) {
    return signcclAllReduceVoteAsync(buffer.data(), buffer.data(), buffer.size(), signcclFloat32, signcclFloat32,
                                     nullptr, ranks[rank], nullptr, &requests[static_cast<std::size_t>(rank)]);
  };
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  ASSERT_EQ(vote(data, 0), signcclSuccess);
  ASSERT_EQ(vote(other, 1), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&requests[0]), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("signcclGroupEnd() first"));
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
  for (signcclRequest_t& request : requests) EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
  EXPECT_EQ(data, std::vector<float>(1000, -1.0F));
}

/// Bits sent per element by rank 0 for 2^20 elements, as the transport counts them.
double bitsPerElement(int nranks, const Case& tested) {
  constexpr std::size_t kCount = 1 << 20;
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<float> data = alternating(kCount, rank);
    EXPECT_EQ(call(tested, data.data(), data.data(), kCount, comm), signcclSuccess);
  });
  signcclCommStats_t stats{};
  stats.size = sizeof stats;
  EXPECT_EQ(signcclCommGetStats(ranks[0], &stats), signcclSuccess);
  const auto sent = static_cast<double>(stats.bytesSent);
  EXPECT_NEAR(sent, static_cast<double>(stats.bytesReceived), 0.01 * sent);
  return static_cast<double>(stats.bytesSent) * 8 / kCount;
}

TEST(Wire, DirectSendsWhatTheTableSays) {
  const Environment environment{{"SIGNCCL_ALGO", "direct"}};
  for (const int nranks : {2, 3, 4, 5, 8, 16, 17}) {
    const double fraction = (nranks - 1.0) / nranks;
    const double count_bits = std::ceil(std::log2(nranks));
    const double vote = 2 * fraction;
    const double avg = fraction * (1 + count_bits);
    EXPECT_NEAR(bitsPerElement(nranks, Case{}), vote, 0.01 * vote) << nranks;
    EXPECT_NEAR(bitsPerElement(nranks, Case{SignOp::kAvg}), avg, 0.01 * avg) << nranks;
  }
}

}  // namespace
}  // namespace signccl
