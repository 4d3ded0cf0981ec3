// SPDX-License-Identifier: Apache-2.0
#include "comm/bootstrap.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/environment.h"
#include "control/eventually.h"
#include "control/raw_peer.h"
#include "support/caught.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

/// Whether somebody listens where the ranks of `id` meet.
bool isListenedAt(const signcclUniqueId& id) {
  try {
    const RawPeer peer(fromUniqueId(id).address);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

/// An all-gather of two ranks of which the other gives zeros; keeps what rank 0 gave, and returns *status.
struct AllGather {
  int status = 0;
  signcclUniqueId mine{};

  static int call(const void* send, void* recv, std::size_t size, void* context) {
    auto& self = *static_cast<AllGather*>(context);
    std::memcpy(&self.mine, send, sizeof self.mine);
    std::memcpy(recv, send, size);
    return self.status;
  }
};

class BootstrapTest : public EnvironmentTest {
 protected:
  JoinOptions joinByAllGather(AllGather& gather) {
    signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
    config.allGather = AllGather::call;
    config.allGatherContext = &gather;
    return joinOptions(2, {}, 0, &config, {}, load());
  }
};

TEST_F(BootstrapTest, UniqueIdThatNoRankUsesIsListenedForNoLongerThanAnOperationMayTake) {
  CommOptions options;
  options.timeout = 1ms;
  const signcclUniqueId unused = makeUniqueId(load(), options);
  EXPECT_TRUE(eventually([&] { return !isListenedAt(unused); }));
}

TEST_F(BootstrapTest, UniqueIdIsListenedForMeanwhile) { EXPECT_TRUE(isListenedAt(makeUniqueId(load(), {}))); }

TEST_F(BootstrapTest, FixedAddressIsTheIdOfEveryRank) {
  set("SIGNCCL_COMM_ID", "127.0.0.1:4711");
  set("SIGNCCL_COMM_SECRET", "sesame");
  const MeetingPoint point = fromUniqueId(makeUniqueId(load(), {}));
  EXPECT_EQ(toText(point.address), "127.0.0.1:4711");
  EXPECT_EQ(point.secret[0], 's');
  const JoinOptions options = joinOptions(2, {}, 1, nullptr, {}, load());
  EXPECT_EQ(options.point.address, point.address);
  EXPECT_TRUE(options.may_be_early);
}

TEST_F(BootstrapTest, SecretThatIsTooLongIsRefused) {
  set("SIGNCCL_COMM_ID", "127.0.0.1:4711");
  set("SIGNCCL_COMM_SECRET", std::string(17, 's'));
  const std::string error = usageErrorOf([&] { makeUniqueId(load(), {}); });
  EXPECT_THAT(error, testing::HasSubstr("SIGNCCL_COMM_SECRET=(hidden)"));
  EXPECT_THAT(error, testing::Not(testing::HasSubstr("sssss")));
}

TEST_F(BootstrapTest, JobsThatShareAnAddressDoNotMix) {
  for (const char* const other :
       {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE"}) {
    unset(other);
  }
  set("SIGNCCL_COMM_ID", toText(RawListener().address()));
  set("SLURM_STEP_ID", "0");
  set("SLURM_JOB_ID", "1");
  Joining first(joinOptions(2, {}, 0, nullptr, {}, load()));
  set("SLURM_JOB_ID", "2");
  const Caught stranger = caught([&] { Joining(joinOptions(2, {}, 1, nullptr, {}, load())).finish(in(kPatience)); });
  EXPECT_EQ(stranger.code, signcclRemoteError);
  EXPECT_THAT(stranger.message, testing::HasSubstr("closed by the peer; perhaps it is of another job, or has another "
                                                   "SIGNCCL_COMM_SECRET: this process belongs to Slurm job 2, step 0"));
  EXPECT_THAT(caught([&] { joinOptions(2, {}, 0, nullptr, {}, load()); }).message,
              testing::HasSubstr("Address already in use: another process of this host has the port"));
  set("SLURM_JOB_ID", "1");
  Joining second(joinOptions(2, {}, 1, nullptr, {}, load()));
  EXPECT_EQ(first.finish(in(kPatience))->rank(), 0);
  EXPECT_EQ(second.finish(in(kPatience))->rank(), 1);
}

TEST_F(BootstrapTest, AllGatherOfTheCallerSharesTheIdOfRankZero) {
  AllGather gather;
  const JoinOptions options = joinByAllGather(gather);
  EXPECT_EQ(options.point.address, fromUniqueId(gather.mine).address);
  EXPECT_TRUE(isListenedAt(gather.mine));
}

TEST_F(BootstrapTest, AllGatherThatFailsIsAnErrorAndNobodyListensAnyMore) {
  AllGather gather{.status = 3};
  EXPECT_EQ(caught([&] { joinByAllGather(gather); }),
            (Caught{signcclSystemError, "config.allGather returned 3 on rank 0, expected 0"}));
  EXPECT_TRUE(eventually([&] { return !isListenedAt(gather.mine); }));
}

TEST_F(BootstrapTest, IdThatWasNotMadeHereIsRefused) {
  EXPECT_EQ(caught([&] { joinOptions(2, {}, 0, nullptr, {}, load()); }).code, signcclInvalidArgument);
}

}  // namespace
}  // namespace signccl
