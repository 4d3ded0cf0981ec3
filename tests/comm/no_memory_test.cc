// Calls that must not throw keep that promise when there is no memory, and what they had to tell is told all the same.
#include "comm/no_memory.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/environment.h"
#include "base/trace.h"
#include "comm/loopback_group.h"
#include "control/hub.h"
#include "control/job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

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
