// SPDX-License-Identifier: Apache-2.0
// Calls that are taken inside of groups of NCCL.
#include "interposer_job.h"

namespace signccl::nccl_preload {
namespace {

TEST_F(InterposerTest, CallsOfAGroupAreIssuedAtItsOutermostEnd) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [&](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
    ASSERT_EQ(member.get(), 1);
    member.put(rank == 0 ? -3.F : -1.F);
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member.allReduce(), Result::kSuccess);
    ASSERT_EQ(member().groupEnd(), Result::kSuccess);
    EXPECT_EQ(member.get(), rank == 0 ? -3.F : -1.F) << "the inner end issues nothing";
    ASSERT_EQ(member().groupEnd(), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), -1);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(InterposerTest, TheFirstMatchInAGroupIsForwardedAndTheNextIsTaken) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    for (const float expected : {6.F, 1.F, 1.F}) {
      member.put(3.F);
      ASSERT_EQ(member().groupStart(), Result::kSuccess);
      ASSERT_EQ(member.allReduce(), Result::kSuccess);
      ASSERT_EQ(member().groupEnd(), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), expected);
    }
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 2U);
}

TEST_F(InterposerTest, OneThreadDrivesAllRanksInGroups) {
  const auto interposer = makeInterposer(kVotes);
  constexpr int kRanks = 3;
  const UniqueId id = newId();
  std::vector<std::unique_ptr<Member>> members;
  for (int rank = 0; rank < kRanks; ++rank) members.push_back(std::make_unique<Member>(*interposer, rank));
  const auto in_group = [&](const std::function<void(int, Member&)>& body) {
    ASSERT_EQ(interposer->groupStart(), Result::kSuccess);
    for (int rank = 0; rank < kRanks; ++rank) {
      Member& member = *members[static_cast<std::size_t>(rank)];
      const CurrentDevice current(rank);
      body(rank, member);
    }
    ASSERT_EQ(interposer->groupEnd(), Result::kSuccess) << interposer->getLastError(nullptr);
  };

  Config config = defaultConfig();
  in_group([&](int rank, Member& member) {
    ASSERT_EQ(interposer->initRankConfig(&member.comm, kRanks, id, rank, &config), Result::kSuccess);
    EXPECT_EQ(member.comm, nullptr) << "the end of the group writes the handle";
  });
  for (const float expected : {9.F, 1.F}) {
    in_group([&](int /*rank*/, Member& member) {
      member.put(3.F);
      ASSERT_EQ(member.allReduce(), Result::kSuccess);
    });
    for (const auto& member : members) EXPECT_EQ(member->get(), expected);
  }
  for (const auto& member : members) EXPECT_EQ(interposer->destroy(member->comm), Result::kSuccess);
  while (!members.empty()) members.pop_back();
}

TEST_F(InterposerTest, ACommunicatorThatIsMadeInAGroupKeepsItsName) {
  const auto interposer = makeInterposer(oneRule(R"("count": {"min": 100}, "comm": "data")", "vote"));
  const UniqueId id = newId();
  runAsRanks(2, [&](int rank) {
    Member member(*interposer, rank);
    Config config = defaultConfig();
    config.comm_name = "data";
    ASSERT_EQ(interposer->groupStart(), Result::kSuccess);
    ASSERT_EQ(interposer->initRankConfig(&member.comm, 2, id, rank, &config), Result::kSuccess);
    config.comm_name = nullptr;
    ASSERT_EQ(interposer->groupEnd(), Result::kSuccess);
    ASSERT_EQ(member.allReduceOf(-4.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), -1);
    ASSERT_EQ(interposer->destroy(member.comm), Result::kSuccess);
  });
}

TEST_F(InterposerTest, SeveralCallsOfAGroupAreOneGroupOfSignccl) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
    const DeviceBuffer other(Member::kCount * sizeof(float));
    AllReduce second = member.call();
    second.recv = other.data();
    member.put(-2.F);
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member().allReduce(second), Result::kSuccess);
    ASSERT_EQ(member.allReduce(50), Result::kSuccess) << "a forwarded call beside one that is taken";
    ASSERT_EQ(member().groupEnd(), Result::kSuccess) << member.lastError();
    member.work().synchronize();
    float first = 0;
    std::memcpy(&first, other.get().data() + 60 * sizeof(float), sizeof(float));
    EXPECT_EQ(first, -1);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
}

TEST_F(InterposerTest, ASimulatedGroupIssuesNothing) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
    member.put(5.F);
    member.work().synchronize();
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member.allReduce(), Result::kSuccess);
    ASSERT_EQ(member().groupSimulateEnd(nullptr), Result::kSuccess);
    EXPECT_EQ(member.get(), 5);
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member().groupEnd(), Result::kSuccess);
    EXPECT_EQ(member.get(), 5) << "nothing is left for the next group";
  });
}

TEST_F(InterposerTest, TheEndOfAGroupGivesNcclsErrorFirst) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
    member.work().synchronize();
    member.put(-7.F);
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member.allReduce(), Result::kSuccess);
    fake_nccl::failCall(1, NcclResult::kInternalError);
    EXPECT_EQ(member().groupEnd(), Result::kInternalError);
    EXPECT_EQ(member.get(), -1) << "the other half is carried out, since other ranks do so";
  });
}

}  // namespace
}  // namespace signccl::nccl_preload
