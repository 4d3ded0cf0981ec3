// SPDX-License-Identifier: Apache-2.0
// What ranks tell each other before they make a communicator of NCCL.
#include "nccl/nccl_introduction.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nccl/nccl_library.h"
#include "support/caught.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

std::vector<NcclIntroduction> ranksOf(int version, const std::vector<std::string>& devices) {
  std::vector<NcclIntroduction> ranks(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    ranks[i].version = version;
    ranks[i].device = devices[i];
  }
  std::strcpy(ranks.front().id.internal, "the id");
  return ranks;
}

TEST(NcclIntroductionTest, WhatIsToldComesBack) {
  NcclIntroduction told{signcclSystemError, "why", 22803, "GPU-1", true, {}};
  std::strcpy(told.id.internal, "the id");
  const NcclIntroduction heard = decodeNcclIntroduction(encode(told));
  EXPECT_EQ(heard.code, told.code);
  EXPECT_EQ(heard.error, told.error);
  EXPECT_EQ(heard.version, told.version);
  EXPECT_EQ(heard.device, told.device);
  EXPECT_EQ(heard.allows_shared_devices, told.allows_shared_devices);
  EXPECT_STREQ(heard.id.internal, told.id.internal);
  EXPECT_EQ(caught([] { decodeNcclIntroduction("short"); }).code, signcclRemoteError);
}

TEST(NcclIntroductionTest, RanksThatCanMeetTakeTheIdOfRank0) {
  EXPECT_STREQ(agreedId(ranksOf(22803, {"GPU-1", "GPU-2"})).internal, "the id");
}

TEST(NcclIntroductionTest, ARankThatCannotUseNcclFailsAllWithItsReason) {
  auto ranks = ranksOf(22803, {"GPU-1", "GPU-2"});
  ranks[1].code = signcclSystemError;
  ranks[1].error = "no library";
  EXPECT_EQ(caught([&] { agreedId(ranks); }), (Caught{signcclSystemError, "rank 1 cannot use NCCL: no library"}));
}

TEST(NcclIntroductionTest, DifferentVersionsAreNamed) {
  auto ranks = ranksOf(22803, {"GPU-1", "GPU-2"});
  ranks[1].version = 21801;
  EXPECT_EQ(caught([&] { agreedId(ranks); }),
            (Caught{signcclInvalidUsage,
                    "the version of NCCL is 2.28.3 on rank 0 and 2.18.1 on rank 1, expected the same on all ranks"}));
}

TEST(NcclIntroductionTest, ADeviceIsSharedOnlyWhereNcclAllowsIt) {
  auto ranks = ranksOf(23002, {"GPU-1", "GPU-1"});
  for (NcclIntroduction& one : ranks) one.allows_shared_devices = true;
  EXPECT_THAT(caught([&] { agreedId(ranks); }).message, HasSubstr("ranks 0 and 1 are both on device GPU-1"));
  for (NcclIntroduction& one : ranks) one.version = 23003;
  EXPECT_NO_THROW(agreedId(ranks));
  ranks[1].allows_shared_devices = false;
  EXPECT_EQ(caught([&] { agreedId(ranks); }).code, signcclInvalidUsage);
}

}  // namespace
}  // namespace signccl
