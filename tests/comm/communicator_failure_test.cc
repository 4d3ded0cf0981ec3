// What ranks learn when an exchange cannot end: disagreement, deadlines, aborts, ranks that leave, broken transports.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm_ranks.h"
#include "support/caught.h"
#include "support/faulty_transport.h"
#include "support/rank_threads.h"

namespace signccl {
namespace {

using ::testing::AnyOf;
using ::testing::StartsWith;

CommOptions optionsWith(Algorithm algorithm, std::chrono::milliseconds timeout = std::chrono::minutes(2)) {
  CommOptions options = testOptions();
  options.algorithm = algorithm;
  options.timeout = timeout;
  return options;
}

/// Errors of all ranks, each of which calls body(rank) in a thread. A rank that calls only after the failure is told
/// that the communicator has failed already; this is left out.
template <typename Body>
std::vector<Caught> errorsOf(int nranks, const Body& body) {
  const std::string already = "the communicator has failed: ";
  std::vector<Caught> errors(static_cast<std::size_t>(nranks));
  runAsRanks(nranks, [&](Rank rank) {
    Caught error = caught([&] { body(rank); });
    if (error.message.starts_with(already)) error.message.erase(0, already.size());
    errors[static_cast<std::size_t>(rank)] = error;
  });
  return errors;
}

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
      EXPECT_THAT(error.message, ::testing::MatchesRegex("the ranks disagree in exchange number 0: count is "
                                                         "(500 on rank [01] and 600 on rank [23]|"
                                                         "600 on rank [23] and 500 on rank [01])"));
      EXPECT_EQ(error, errors[0]);
    }
  }
}

TEST(DisagreementTest, EmptyCallDoesNotPassForAnother) {
  CommRanks ranks(2);
  expectOnAll(errorsOf(2, [&](Rank rank) { zeroAgainstTheRest(rank, rank == 0 ? 0 : 600).run(ranks[rank]); }),
              signcclInvalidUsage, "the ranks disagree in exchange number 0: count is 0 on rank 0 and 600 on rank 1",
              "the ranks disagree in exchange number 0: count is 600 on rank 1 and 0 on rank 0");
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
                  ::testing::MatchesRegex("rank [013] waited 50 ms for rank .*2.* in exchange number 0"));
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

/// A loopback group whose transports are put into others.
class RewiredGroup final : public Group {
 public:
  using Rewire = std::function<std::unique_ptr<Transport>(std::unique_ptr<Transport>, Rank)>;

  RewiredGroup(std::unique_ptr<Group> inner, Rewire rewire) : inner_(std::move(inner)), rewire_(std::move(rewire)) {}

  [[nodiscard]] Rank rank() const override { return inner_->rank(); }
  [[nodiscard]] const Topology& topology() const override { return inner_->topology(); }
  [[nodiscard]] CoreShare coreShare() const override { return inner_->coreShare(); }
  [[nodiscard]] CostModel costModel() const override { return inner_->costModel(); }
  std::unique_ptr<Transport> makeTransport() override { return rewire_(inner_->makeTransport(), rank()); }
  void end(std::uint64_t exchange) noexcept override { inner_->end(exchange); }
  bool allLeft() override { return inner_->allLeft(); }
  void announce(std::uint64_t exchange, const ExchangeSignature& signature) override {
    inner_->announce(exchange, signature);
  }
  void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) override {
    inner_->begin(exchange, signature, is_empty);
  }
  bool allAnnounced(std::uint64_t exchange) override { return inner_->allAnnounced(exchange); }
  std::vector<Rank> notAnnounced(std::uint64_t exchange) override { return inner_->notAnnounced(exchange); }
  [[nodiscard]] bool failed() const noexcept override { return inner_->failed(); }
  [[nodiscard]] Failure failure() const override { return inner_->failure(); }
  void fail(const Failure& failure) noexcept override { inner_->fail(failure); }
  void leave() noexcept override { inner_->leave(); }
  std::vector<std::string> allGather(std::string part, Deadline deadline) override {
    return inner_->allGather(std::move(part), deadline);
  }
  void postSplit(int color, int key, const SharedSettings& settings) override {
    inner_->postSplit(color, key, settings);
  }
  void joinSplit(Deadline deadline) override { inner_->joinSplit(deadline); }
  std::unique_ptr<Group> awaitSplit(Deadline deadline) override { return inner_->awaitSplit(deadline); }

 private:
  std::unique_ptr<Group> inner_;
  Rewire rewire_;
};

WrapGroup rewired(const RewiredGroup::Rewire& rewire) {
  return [rewire](std::unique_ptr<Group> inner) { return std::make_unique<RewiredGroup>(std::move(inner), rewire); };
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

/// Calls `fault`, which throws, at the third progress().
class BrokenTransport final : public Transport {
 public:
  BrokenTransport(std::unique_ptr<Transport> inner, std::function<void()> fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  void send(Rank peer, Tag tag, ConstBytes bytes, Request& request) override {
    inner_->send(peer, tag, bytes, request);
  }
  void recv(Rank peer, Tag tag, Bytes memory, Landing landing, Request& request) override {
    inner_->recv(peer, tag, memory, landing, request);
  }
  void release(Request& request) override { inner_->release(request); }
  void progress(std::vector<Request*>& completed) override {
    if (++turns_ == 3) fault_();
    inner_->progress(completed);
  }
  bool flush() override { return inner_->flush(); }
  void wait(std::chrono::microseconds longest) override { inner_->wait(longest); }
  void wake() override { inner_->wake(); }
  void keepAlive(std::shared_ptr<const void> memory) override { inner_->keepAlive(std::move(memory)); }
  [[nodiscard]] TransportCounters counters() const override { return inner_->counters(); }

 private:
  std::unique_ptr<Transport> inner_;
  std::function<void()> fault_;
  int turns_ = 0;
};

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
