// SPDX-License-Identifier: Apache-2.0
// The public helper that marks a call, with the structs of nccl.h as NCCL 2.32 has them. They are declared here, since
// nccl.h need not be installed.
#include <gtest/gtest.h>

#include "nccl/back/marks.h"

struct ncclConfigExt_t {
  ncclConfigExt_t* next;
  struct {
    int vendorId;
    int optionId;
  } key;
  union {
    int i;
    const char* s;
    void* raw;
  } val;
};

struct ncclCollConfig_t {
  std::size_t size;
  unsigned int magic;
  unsigned int version;
  ncclConfigExt_t* ext;
  int further_fields[12];
};

#define NCCL_COLLCONFIG_INITIALIZER                          \
  {                                                          \
    sizeof(ncclCollConfig_t), 0xcafebeef, 23203, nullptr, {} \
  }
#include "signccl/nccl_mark.h"

namespace signccl::nccl_preload {
namespace {

Mark read(const ncclCollConfig_t& config) { return readMark(reinterpret_cast<const CollConfig*>(&config)); }

TEST(MarkHelperTest, WhatItWritesIsRead) {
  ncclCollConfig_t config = NCCL_COLLCONFIG_INITIALIZER;
  EXPECT_FALSE(read(config).action);
  signcclNcclMark_t mark;
  signcclNcclMark(&config, &mark, "vote", "positive");
  EXPECT_EQ(read(config).action, rules::Action::kVote);
  EXPECT_EQ(read(config).tie, rules::TieRule::kPositive);
}

TEST(MarkHelperTest, WithoutATieThatOfTheRuleHolds) {
  ncclCollConfig_t config = NCCL_COLLCONFIG_INITIALIZER;
  signcclNcclMark_t mark;
  signcclNcclMark(&config, &mark, "avg", nullptr);
  EXPECT_EQ(read(config).action, rules::Action::kAvg);
  EXPECT_FALSE(read(config).tie);
}

TEST(MarkHelperTest, OptionsOfOthersStayBehindTheMark) {
  for (const char* tie : {"zero", static_cast<const char*>(nullptr)}) {
    ncclConfigExt_t other{};
    other.key.vendorId = 77;
    ncclCollConfig_t config = NCCL_COLLCONFIG_INITIALIZER;
    config.ext = &other;
    signcclNcclMark_t mark;
    signcclNcclMark(&config, &mark, "vote", tie);
    const ncclConfigExt_t* last = config.ext;
    while (last->next != nullptr) last = last->next;
    EXPECT_EQ(last, &other);
    EXPECT_EQ(read(config).action, rules::Action::kVote);
  }
}

}  // namespace
}  // namespace signccl::nccl_preload
