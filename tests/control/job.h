// SPDX-License-Identifier: Apache-2.0
// Ranks that meet at a hub as processes do, but within a test: members without a transport.
#ifndef SIGNCCL_TESTS_CONTROL_JOB_H_
#define SIGNCCL_TESTS_CONTROL_JOB_H_

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "control/eventually.h"
#include "control/example_messages.h"
#include "control/member.h"

namespace signccl {

inline std::string exampleAddress(Rank rank) { return "address of rank " + std::to_string(rank); }

/// A rank that says what exampleHello() says: each is a process of its own.
inline MemberOptions memberOptions(const MeetingPoint& point, Rank rank, int nranks) {
  const HelloMessage hello = exampleHello(rank, nranks);
  MemberOptions options;
  options.point = point;
  options.rank = rank;
  options.nranks = nranks;
  options.info = hello.info;
  options.settings = hello.settings;
  options.on_address_wanted = [](Member& member) { member.tellAddress(exampleAddress(member.rank())); };
  return options;
}

/// Owns a member that leaves at the end.
class JobRank {
 public:
  explicit JobRank(MemberOptions options) : member_(Member::join(std::move(options))) {}
  JobRank(const MeetingPoint& point, Rank rank, int nranks) : JobRank(memberOptions(point, rank, nranks)) {}
  ~JobRank() {
    if (!member_) return;
    member_->leave();
    member_->close();
  }
  JobRank(JobRank&&) noexcept = default;
  JobRank& operator=(JobRank&&) = delete;

  Member* operator->() const { return member_.get(); }

 private:
  std::shared_ptr<Member> member_;
};

inline std::vector<JobRank> joinAll(const MeetingPoint& point, int nranks, Rank first = 0) {
  std::vector<JobRank> ranks;
  for (Rank rank = first; rank < nranks; ++rank) ranks.emplace_back(point, rank, nranks);
  return ranks;
}

/// Waits until the ranks, which are all of a job or its last, know each other.
inline void expectReady(const std::vector<JobRank>& ranks, int nranks) {
  std::vector<std::string> addresses;
  for (Rank rank = 0; rank < nranks; ++rank) addresses.push_back(exampleAddress(rank));
  for (const JobRank& rank : ranks) {
    rank->awaitReady(in(kPatience));
    std::vector<RankInfo> ranks_known = rank->ranks();
    for (RankInfo& one : ranks_known) one.hub_address = kExampleHubAddress;  // several tests have others
    EXPECT_EQ(ranks_known, exampleRoster(nranks).ranks);
    EXPECT_EQ(rank->addresses(), addresses);
    EXPECT_FALSE(rank->failed());
  }
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_CONTROL_JOB_H_
