// SPDX-License-Identifier: Apache-2.0
#include "comm/process_group.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "comm/join.h"
#include "control/job.h"
#include "support/caught.h"
#include "support/rank_threads.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

const SharedSettings kSettings = {{"SIGNCCL_ALGO", "ring"}};

/// Sockets of this process that listen, as /proc names them.
std::set<std::string> listeningSockets() {
  std::set<std::string> sockets;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    int listens = 0;
    socklen_t size = sizeof listens;
    const int descriptor = std::stoi(entry.path().filename());
    std::error_code closed_meanwhile;
    const std::string name = std::filesystem::read_symlink(entry.path(), closed_meanwhile).string();
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) sockets.insert(name);
  }
  return sockets;
}

/// Two ranks that take each other to be processes, without transports.
class ProcessGroupTest : public testing::Test {
 protected:
  ProcessGroupTest() {
    const MeetingPoint point = openHub({})->meetingPoint();
    std::vector<std::shared_ptr<Member>> members;
    for (const Rank rank : {0, 1}) members.push_back(Member::join(memberOptions(point, rank, 2)));
    for (const std::shared_ptr<Member>& member : members) {
      member->awaitReady(in(kPatience));
      groups_.push_back(std::make_unique<ProcessGroup>(member, nullptr, Topology::singleNode(2), NetworkOptions{}));
    }
    expectNoListener();
  }

  /// Sockets that listen since the test has begun: tests before it may have left hubs that still tell of a failure.
  [[nodiscard]] std::size_t newListeners() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        listeningSockets(), [&](const std::string& socket) { return !before_.contains(socket); }));
  }
  void expectNoListener() const {
    EXPECT_TRUE(eventually([&] { return newListeners() == 0; }));
  }

  const std::set<std::string> before_ = listeningSockets();
  std::vector<std::unique_ptr<ProcessGroup>> groups_;
};

TEST_F(ProcessGroupTest, SplitThatNotAllAskForListensNoMore) {
  groups_[0]->postSplit(0, 0, kSettings);
  EXPECT_EQ(newListeners(), 1U);
  const Caught late = caught([&] { groups_[0]->joinSplit(in(10ms)); });
  EXPECT_EQ(late, (Caught{signcclTimeout, "rank 0 timed out waiting for rank 1 to split the communicator"}));
  EXPECT_EQ(groups_[0]->failure().gone, (std::vector<Rank>{1}));
  expectNoListener();
}

TEST_F(ProcessGroupTest, SplitWithDifferentSettingsListensNoMoreAndNobodyIsGone) {
  const SharedSettings other = {{"SIGNCCL_ALGO", "direct"}};
  groups_[0]->postSplit(0, 0, kSettings);
  groups_[1]->postSplit(0, 0, other);
  const Caught expected{signcclInvalidUsage,
                        "the ranks have different settings: SIGNCCL_ALGO is ring on rank 0 and direct on rank 1"};
  for (const auto& group : groups_) EXPECT_EQ(caught([&] { group->joinSplit(in(kPatience)); }), expected);
  EXPECT_EQ(groups_[1]->failure().scope, Failure::Scope::kExchange);
  EXPECT_TRUE(groups_[1]->failure().gone.empty());
  expectNoListener();
}

TEST_F(ProcessGroupTest, GroupThatIsDestroyedDuringASplitListensNoMore) {
  groups_[0]->postSplit(0, 0, kSettings);
  groups_.clear();
  expectNoListener();
}

TEST_F(ProcessGroupTest, SplitOrdersRanksByKeyAndListensNoMoreWhenAllHaveJoined) {
  runAsRanks(2, [&](Rank rank) {
    ProcessGroup& group = *groups_[static_cast<std::size_t>(rank)];
    group.postSplit(7, -rank, kSettings);
    group.joinSplit(in(kPatience));
    const auto part = group.awaitSplit(in(kPatience));
    EXPECT_EQ(part->rank(), 1 - rank);
    EXPECT_EQ(part->topology().nranks(), 2);
  });
  expectNoListener();
}

TEST_F(ProcessGroupTest, RanksThatDisagreeAreToldBothValues) {
  groups_[0]->begin(0, {.calls = {{5}}}, /*is_empty=*/true);
  groups_[1]->begin(0, {.calls = {{6}}}, /*is_empty=*/true);
  EXPECT_TRUE(eventually([&] { return groups_[0]->failed(); }));
  const std::string message = groups_[0]->failure().message;
  EXPECT_NE(message.find("count is "), std::string::npos) << message;
  EXPECT_NE(message.find("5 on rank 0"), std::string::npos) << message;
  EXPECT_NE(message.find("6 on rank 1"), std::string::npos) << message;
}

}  // namespace
}  // namespace signccl
