// SPDX-License-Identifier: Apache-2.0
// Wrong arguments get signcclInvalidArgument with the value and what was expected, have no effect, and leave everything
// usable.
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

class Arguments : public ::testing::Test {
 protected:
  /// Calls with the members below and expects a refusal that says `expected`.
  void expectRefused(SignOp op, const std::string& expected) {
    const auto collective = op == SignOp::kVote ? signcclAllReduceVote : signcclAllReduceAvg;
    EXPECT_EQ(collective(send, recv, count, static_cast<signcclDataType_t>(sendtype),
                         static_cast<signcclDataType_t>(recvtype), config, ranks[0], stream),
              signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr(expected));
    EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr(expected));
    expectStillUsable();
  }

  void expectStillUsable() {
    float one = -2.0F;
    float result = 0.0F;
    ASSERT_EQ(signcclAllReduceVote(&one, &result, 1, signcclFloat32, signcclFloat32, nullptr, ranks[0], nullptr),
              signcclSuccess);
    EXPECT_EQ(result, -1.0F);
  }

  Ranks ranks{1};
  std::vector<float> buffer = std::vector<float>(64, 1.0F);
  const void* send = buffer.data();
  void* recv = buffer.data();
  std::size_t count = 32;
  int sendtype = signcclFloat32;
  int recvtype = signcclFloat32;
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  const signcclSignConfig_t* config = &rules;
  signcclStream_t stream = nullptr;
};

TEST_F(Arguments, NullSendBufferIsRefused) {
  send = nullptr;
  expectRefused(SignOp::kVote, "sendbuff is NULL and count is 32");
}

TEST_F(Arguments, NullReceiveBufferIsRefused) {
  recv = nullptr;
  expectRefused(SignOp::kAvg, "recvbuff is NULL and count is 32");
}

TEST_F(Arguments, NullBuffersAreFineForNoElements) {
  EXPECT_EQ(signcclAllReduceVote(nullptr, nullptr, 0, signcclFloat32, signcclFloat32, nullptr, ranks[0], nullptr),
            signcclSuccess);
}

TEST_F(Arguments, PartlyOverlappingBuffersAreRefusedBothWays) {
  recv = buffer.data() + 1;
  expectRefused(SignOp::kVote, "overlap partly: recvbuff begins 4 bytes after sendbuff, of 128 and 128 bytes");
  std::swap(*const_cast<void**>(&send), recv);
  expectRefused(SignOp::kVote, "recvbuff begins -4 bytes after sendbuff");
}

TEST_F(Arguments, AdjacentBuffersAreFine) {
  EXPECT_EQ(signcclAllReduceVote(buffer.data(), buffer.data() + 32, 32, signcclFloat32, signcclFloat32, nullptr,
                                 ranks[0], nullptr),
            signcclSuccess);
}

TEST_F(Arguments, UnknownTypesAreRefused) {
  sendtype = 42;
  expectRefused(SignOp::kVote, "sendtype is 42");
  sendtype = signcclFloat32;
  recvtype = 63;
  expectRefused(SignOp::kVote, "recvtype is 63");
}

TEST_F(Arguments, TypesThatDoNotFitTheCollectiveAreRefused) {
  sendtype = signcclInt32;
  expectRefused(SignOp::kVote, "sendtype is int32, expected float32");
  sendtype = signcclFloat32;
  recvtype = signcclInt16;
  expectRefused(SignOp::kVote, "recvtype is int16, expected float32");
  recvtype = signcclBits;
  expectRefused(SignOp::kAvg, "recvtype is bits, expected float32");
  rules.tieRule = signcclTieZero;
  expectRefused(SignOp::kVote, "recvtype is bits, which cannot hold the 0 of tie rule zero");
}

TEST_F(Arguments, UnknownRulesAreRefused) {
  rules.zeroRule = 2;
  expectRefused(SignOp::kVote, "zeroRule is 2, expected 0 (binary) or 1 (ternary)");
  rules.zeroRule = signcclZeroBinary;
  rules.tieRule = -1;
  expectRefused(SignOp::kVote, "tieRule is -1, expected 0 (zero), 1 (positive), 2 (negative) or 3 (random)");
  rules.tieRule = signcclTieRandom;
  rules.misfitRule = 2;
  expectRefused(SignOp::kVote, "misfitRule is 2, expected 0 (keep) or 1 (discard)");
  rules.misfitRule = signcclMisfitDiscard;
  rules.reserved = 1;
  expectRefused(SignOp::kVote, "config->reserved is set");
}

TEST_F(Arguments, ConfigWithoutInitializerIsRefused) {
  std::memset(&rules, 0, sizeof rules);
  expectRefused(SignOp::kVote, "SIGNCCL_SIGN_CONFIG_INITIALIZER");
}

TEST_F(Arguments, CountWhoseBytesOverflowIsRefused) {
  count = SIZE_MAX;
  expectRefused(SignOp::kVote, "count is 18446744073709551615: sendbuff of float32 would be larger than memory can be");
  count = SIZE_MAX / 4 + 1;  // times 4 bytes is 4 modulo 2^64
  expectRefused(SignOp::kAvg, "count is 4611686018427387904");
}

TEST_F(Arguments, StreamIsRefusedWhereTheProcessHasNoCudaDriver) {
  stream = reinterpret_cast<signcclStream_t>(this);
  expectRefused(SignOp::kVote, "stream needs a CUDA driver, and this process has none");
}

TEST_F(Arguments, NullCommunicatorIsRefused) {
  EXPECT_EQ(signcclAllReduceVote(send, recv, count, signcclFloat32, signcclFloat32, nullptr, nullptr, nullptr),
            signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("comm is NULL"));
}

TEST_F(Arguments, NullOutputsAreRefused) {
  EXPECT_EQ(signcclGetVersion(nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclGetUniqueId(nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclCommCount(ranks[0], nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclCommUserRank(ranks[0], nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclCommGetAsyncError(ranks[0], nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclCommGetStats(ranks[0], nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclRequestWait(nullptr), signcclInvalidArgument);
  EXPECT_EQ(
      signcclAllReduceVoteAsync(send, recv, count, signcclFloat32, signcclFloat32, nullptr, ranks[0], nullptr, nullptr),
      signcclInvalidArgument);
}

TEST_F(Arguments, StatsOfAnotherSizeAreRefused) {
  signcclCommStats_t stats{};
  stats.size = 8;
  EXPECT_EQ(signcclCommGetStats(ranks[0], &stats), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("stats->size is 8"));
}

TEST(ArgumentsOfSums, TooSmallIntegersAreRefused) {
  Ranks ranks(128);
  float value = 1.0F;
  std::int8_t sum = 0;
  EXPECT_EQ(signcclAllReduceAvg(&value, &sum, 1, signcclFloat32, signcclInt8, nullptr, ranks[5], nullptr),
            signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(ranks[5]), HasSubstr("recvtype is int8, which cannot hold a sum of 128 signs"));
}

TEST(ArgumentsOfInit, RanksOutOfRangeAreRefused) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  signcclComm_t comm = nullptr;
  EXPECT_EQ(signcclCommInitRank(&comm, 0, id, 0), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("nranks is 0, expected 1 to 32767"));
  EXPECT_EQ(signcclCommInitRank(&comm, 4, id, 4), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank is 4, expected 0 to 3"));
  EXPECT_EQ(signcclCommInitRank(nullptr, 1, id, 0), signcclInvalidArgument);
  EXPECT_EQ(signcclCommInitAll(nullptr, 1, nullptr), signcclInvalidArgument);
  EXPECT_EQ(comm, nullptr);
}

TEST(ArgumentsOfInit, IdThatWasNotMadeIsRefused) {
  signcclUniqueId id{};
  signcclComm_t comm = nullptr;
  EXPECT_EQ(signcclCommInitRank(&comm, 1, id, 0), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("signcclGetUniqueId"));
}

TEST(ArgumentsOfInit, WrongConfigIsRefused) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  signcclComm_t comm = nullptr;
  const auto expect_refused = [&](const signcclConfig_t& config, const char* expected) {
    EXPECT_EQ(signcclCommInitRankConfig(&comm, 1, id, 0, &config), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr(expected));
  };
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.nThreads = 0;
  expect_refused(config, "config.nThreads is 0, expected 1 to 1024");
  config = SIGNCCL_CONFIG_INITIALIZER;
  config.timeoutMs = -5;
  expect_refused(config, "config.timeoutMs is -5");
  config = SIGNCCL_CONFIG_INITIALIZER;
  config.algorithm = "star";
  expect_refused(config,
                 "config.algorithm is 'star', expected one of oneshot, direct, ring, tree, knomial, hierarchical");
  config.magic = 0;
  expect_refused(config, "SIGNCCL_CONFIG_INITIALIZER");
}

struct BadSetting {
  const char* name;
  const char* value;
  const char* expected;
};

class Settings : public ::testing::TestWithParam<BadSetting> {};

TEST_P(Settings, WrongValueIsRefusedWithWhatIsAllowed) {
  const Environment environment{{GetParam().name, GetParam().value}};
  signcclComm_t comm = nullptr;
  EXPECT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr(GetParam().expected));
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr(GetParam().value));
}

INSTANTIATE_TEST_SUITE_P(
    All, Settings,
    ::testing::Values(BadSetting{"SIGNCCL_ALGO", "star", "oneshot, direct, ring, tree, knomial, hierarchical"},
                      BadSetting{"SIGNCCL_KERNELS", "mmx", "scalar"},
                      BadSetting{"SIGNCCL_NTHREADS", "many", "1 to 1024"},
                      BadSetting{"SIGNCCL_NTHREADS", "0", "1 to 1024"}, BadSetting{"SIGNCCL_TIMEOUT", "-1", "1 to"},
                      BadSetting{"SIGNCCL_SLICE_BYTES", "7", "64 to"}, BadSetting{"SIGNCCL_DEBUG", "LOUD", "VERSION"},
                      BadSetting{"SIGNCCL_DEBUG_SUBSYS", "SOUND", "INIT"},
                      BadSetting{"SIGNCCL_CONF_FILE", "/nonexistent/signccl.conf", "No such file"},
                      BadSetting{"SIGNCCL_TRACE", "/nonexistent/trace.json", "No such file"}),
    [](const auto& instance) { return std::string(instance.param.name) + "_" + std::to_string(instance.index); });

}  // namespace
}  // namespace signccl
