// SPDX-License-Identifier: Apache-2.0
// All-reduces of communicators that are made in other ways than with a unique id and a rank.
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "interposer_job.h"

namespace signccl::nccl_preload {
namespace {

using ::testing::HasSubstr;

const std::string kNamedVotes = oneRule(R"("count": {"min": 100}, "comm": "data*")", "vote");

Config named(const char* name) {
  Config config = defaultConfig();
  config.comm_name = name;
  return config;
}

/// Sums that are taken are the sign.
void expectVote(Member& member, Comm comm) {
  const Comm before = std::exchange(member.comm, comm);
  ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
  EXPECT_EQ(member.get(), 1);
  member.comm = before;
}

void expectSum(Member& member, Comm comm, float sum) {
  const Comm before = std::exchange(member.comm, comm);
  ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
  EXPECT_EQ(member.get(), sum);
  member.comm = before;
}

TEST_F(InterposerTest, AShrunkCommunicatorIsVotedOnByTheRanksThatAreLeft) {
  const auto interposer = makeInterposer(kNamedVotes);
  asRanks(
      3, *interposer,
      [](int rank, Member& member) {
        if (rank == 1) return;
        int excluded[] = {1};
        Comm shrunk = nullptr;
        ASSERT_EQ(member().shrink(member.comm, excluded, 1, &shrunk, nullptr, 0), Result::kSuccess);
        expectVote(member, shrunk);
        Config other = named("tensor parallel");
        Comm renamed = nullptr;
        ASSERT_EQ(member().shrink(shrunk, excluded, 0, &renamed, &other, 0), Result::kSuccess);
        expectSum(member, renamed, 6);
        ASSERT_EQ(member().destroy(shrunk), Result::kSuccess);
        ASSERT_EQ(member().destroy(renamed), Result::kSuccess);
      },
      named("data parallel"));
  EXPECT_EQ(interposer->report().counters(0).taken, 2U);
}

TEST_F(InterposerTest, ACommunicatorOfSeveralIdsIsVotedOn) {
  const auto interposer = makeInterposer(kNamedVotes);
  const UniqueId ids[] = {newId(), newId()};
  runAsRanks(3, [&](int rank) {
    Member member(*interposer, rank);
    Config config = named("data parallel");
    UniqueId own[] = {ids[0], ids[1]};
    Comm comm = nullptr;
    ASSERT_EQ(interposer->initRankScalable(&comm, 3, rank, 2, own, &config), Result::kSuccess) << member.lastError();
    expectVote(member, comm);
    ASSERT_EQ(interposer->destroy(comm), Result::kSuccess);
  });
}

/// Two ranks, to which a third one comes that has another interposer. Runs body(rank, result, grown, member).
void grow(Interposer& old_ranks, Interposer& new_rank, const UniqueId& first_id,
          const std::function<void(int, Result, Comm, Member&)>& body) {
  UniqueId id{};
  std::atomic<bool> is_id_made = false;
  runAsRanks(3, [&](int rank) {
    Member member(rank == 2 ? new_rank : old_ranks, rank);
    if (rank < 2) {
      Config config = named("data parallel");
      ASSERT_EQ(member().initRankConfig(&member.comm, 2, first_id, rank, &config), Result::kSuccess);
    }
    if (rank == 0) {
      const auto get = reinterpret_cast<Result (*)(Comm, UniqueId*)>(dlsym(RTLD_DEFAULT, "ncclCommGetUniqueId"));
      EXPECT_EQ(get(member.comm, &id), Result::kSuccess);
      is_id_made = true;
    }
    while (!is_id_made) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Config config = named("data parallel");
    Comm grown = nullptr;
    const Result result = member().grow(member.comm, 3, rank == 1 ? nullptr : &id, rank == 2 ? 2 : -1, &grown,
                                        rank == 2 ? &config : nullptr);
    body(rank, result, grown, member);
    if (grown != nullptr) {
      EXPECT_EQ(member().destroy(grown), Result::kSuccess);
    }
    if (member.comm != nullptr) {
      EXPECT_EQ(member().destroy(member.comm), Result::kSuccess);
    }
  });
}

TEST_F(InterposerTest, AGrownCommunicatorIsVotedOnByOldAndNewRanks) {
  const auto interposer = makeInterposer(kNamedVotes);
  const auto other = makeInterposer(kNamedVotes);
  grow(*interposer, *other, newId(), [](int /*rank*/, Result result, Comm grown, Member& member) {
    ASSERT_EQ(result, Result::kSuccess) << member.lastError();
    expectVote(member, grown);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(InterposerTest, ANewRankWithOtherRulesIsFoundOut) {
  const auto interposer = makeInterposer(kNamedVotes);
  const auto other = makeInterposer(kVotes);
  grow(*interposer, *other, newId(), [](int /*rank*/, Result result, Comm grown, Member& member) {
    EXPECT_EQ(result, Result::kInvalidUsage);
    EXPECT_EQ(grown, nullptr);
    EXPECT_THAT(member.lastError(), HasSubstr("the rules differ"));
  });
}

}  // namespace
}  // namespace signccl::nccl_preload
