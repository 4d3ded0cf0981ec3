// SPDX-License-Identifier: Apache-2.0
// Calls that must not throw keep that promise when there is no memory, and what they had to tell is told all the same.
#include <new>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/environment.h"
#include "base/trace.h"
#include "comm/loopback_group.h"
#include "control/hub.h"
#include "control/job.h"
#include "support/allocation_counter.h"
#include "support/caught.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

class NoMemoryTest : public EnvironmentTest {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "sanitizers have an operator new of their own";
  }

  /// Ranks that take each other to be processes, ready.
  static std::vector<std::shared_ptr<Member>> members(int nranks) {
    const MeetingPoint point = Hub::open({asio::ip::address_v4::loopback(), 0}, kExampleSecret, {})->meetingPoint();
    std::vector<std::shared_ptr<Member>> made;
    for (Rank rank = 0; rank < nranks; ++rank) made.push_back(Member::join(memberOptions(point, rank, nranks)));
    for (const std::shared_ptr<Member>& member : made) member->awaitReady(in(kPatience));
    return made;
  }
};

const Failure kFailure{signcclRemoteError,
                       "a text that is longer than a string holds without memory of its own",
                       Failure::Scope::kGroup,
                       {1}};

TEST_F(NoMemoryTest, GroupOfThreadsFailsWithTheCode) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  withoutMemory([&] { groups[1]->fail(kFailure); });
  EXPECT_TRUE(groups[0]->failed());
  EXPECT_EQ(groups[0]->failure().code, signcclRemoteError);
  EXPECT_EQ(groups[0]->failure().message, "out of memory");
}

TEST_F(NoMemoryTest, RankThatLeavesOthersThatWaitFailsThem) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  groups[0]->begin(0, {.calls = {{5}}}, false);
  withoutMemory([&] { groups[1]->leave(); });
  EXPECT_EQ(groups[0]->failure().code, signcclRemoteError);
}

/// Calls `action` of fresh ranks, whose n-th allocation fails, for every n, and then check(ranks) where it threw.
template <typename Action, typename Check>
void forEachFailingAllocation(const Action& action, const Check& check) {
  for (std::size_t n = 1; n < 1000; ++n) {
    const auto ranks = LoopbackGroup::makeAll(2, 0);
    bool has_failed = false;
    failAllocation(n);
    try {
      action(*ranks[0]);
    } catch (const std::bad_alloc&) {
      has_failed = true;
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): it waited for the other rank
    }
    failAllocation(0);
    if (!has_failed) return;
    check(*ranks[1]);
  }
  FAIL() << "no call got all the memory that it needs";
}

/// Whether the rank without memory has come to the call that it made or not, the other one hears of it.
const auto kToldOfTheOther = testing::Field("code", &Caught::code, testing::AnyOf(signcclTimeout, signcclInvalidUsage));

TEST_F(NoMemoryTest, AllGatherEndsWhereAnotherRankHadNoMemoryToSplit) {
  forEachFailingAllocation(
      [](LoopbackGroup& rank) { rank.postSplit(0, 0, {{"SIGNCCL_ALGO", "ring"}}); },
      [](LoopbackGroup& other) { EXPECT_THAT(caught([&] { other.allGather("", in(1ms)); }), kToldOfTheOther); });
}

TEST_F(NoMemoryTest, SplitEndsWhereAnotherRankHadNoMemoryToGather) {
  forEachFailingAllocation([](LoopbackGroup& rank) { rank.allGather("part", in(1ms)); },
                           [](LoopbackGroup& other) {
                             const auto split = [&] {
                               other.postSplit(0, 0, {});
                               other.awaitSplit(in(1ms));
                             };
                             EXPECT_THAT(caught(split), kToldOfTheOther);
                           });
}

TEST_F(NoMemoryTest, RankThatCouldNotAnnounceDoesNotDisagree) {
  const ExchangeSignature signature{.calls = {{5}, {6}}};
  forEachFailingAllocation(
      [&](LoopbackGroup& rank) { rank.begin(0, signature, false); },
      [&](LoopbackGroup& other) { EXPECT_EQ(caught([&] { other.begin(0, signature, false); }), Caught{}); });
}

TEST_F(NoMemoryTest, FailureOfAProcessReachesTheOthers) {
  const auto ranks = members(2);
  withoutMemory([&] { ranks[1]->fail(kFailure); });
  EXPECT_TRUE(ranks[1]->failed());
  EXPECT_TRUE(eventually([&] { return ranks[0]->failed(); }));
  EXPECT_EQ(ranks[0]->failure().code, signcclRemoteError);
  for (const auto& rank : ranks) rank->close();
}

TEST_F(NoMemoryTest, ProcessThatLeavesIsKnownToHaveLeft) {
  const auto ranks = members(2);
  withoutMemory([&] {
    for (const auto& rank : ranks) rank->leave();
  });
  for (const auto& rank : ranks) EXPECT_TRUE(eventually([&] { return rank->allLeft(); }));
  for (const auto& rank : ranks) rank->close();
}

TEST_F(NoMemoryTest, ProcessThatClosesItsConnectionIsGone) {
  const auto ranks = members(2);
  withoutMemory([&] { ranks[1]->close(); });
  EXPECT_TRUE(eventually([&] { return ranks[0]->failed(); }));
  EXPECT_EQ(ranks[0]->failure().gone, (std::vector<Rank>{1}));
  ranks[0]->close();
}

TEST_F(NoMemoryTest, HubThatIsNotNeededListensNoMore) {
  const auto hub = Hub::open({asio::ip::address_v4::loopback(), 0}, kExampleSecret, {});
  withoutMemory([&] { hub->close(); });
  EXPECT_TRUE(eventually([&] {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    asio::error_code refused;
    socket.connect(hub->meetingPoint().address, refused);
    return refused == asio::error::connection_refused;
  }));
}

TEST_F(NoMemoryTest, TraceLosesEventsOnly) {
  TraceWriter writer(path("trace"));
  const auto buffer = writer.addRank(0, "");
  withoutMemory([&] {
    for (int i = 0; i < 100; ++i) buffer->add({.kind = TraceKind::kSend, .begin_ns = i, .end_ns = i + 1});
  });
}

TEST_F(NoMemoryTest, LogLosesLinesOnly) {
  set("SIGNCCL_DEBUG", "WARN");
  set("SIGNCCL_DEBUG_FILE", path("log"));
  configureLogging(load());
  withoutMemory([&] {
    log(LogLevel::kWarn, Subsystem::kInit, 0, "a text that is longer than ", "a stream holds without memory: ", 12345);
  });
  unset("SIGNCCL_DEBUG");
  configureLogging(load());
}

}  // namespace
}  // namespace signccl
