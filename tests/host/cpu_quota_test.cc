// SPDX-License-Identifier: Apache-2.0
#include "host/cpu_quota.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace signccl {
namespace {

namespace fs = std::filesystem;

class CpuQuotaTest : public testing::Test {
 protected:
  CpuQuotaTest() {
    std::string pattern = (fs::temp_directory_path() / "cpu_quota_test.XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~CpuQuotaTest() override { fs::remove_all(root_); }

  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << '\n';
  }
  [[nodiscard]] std::uint32_t millicores() const { return cpuQuota(root_).millicores; }

  fs::path root_;
};

TEST_F(CpuQuotaTest, WithoutControlGroupsThereIsNone) { EXPECT_EQ(cpuQuota(root_), CpuQuota{}); }

TEST_F(CpuQuotaTest, Version2SaysItInOneFile) {
  write("proc/self/cgroup", "0::/jobs/one");
  write("sys/fs/cgroup/jobs/one/cpu.max", "max 100000");
  EXPECT_EQ(millicores(), 0U);
  write("sys/fs/cgroup/jobs/one/cpu.max", "250000 100000");
  EXPECT_EQ(millicores(), 2500U);
}

TEST_F(CpuQuotaTest, Version1SaysItInTwoFiles) {
  write("proc/self/cgroup", "5:memory:/jobs\n4:cpu,cpuacct:/jobs/one\n0::/elsewhere");
  write("sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_period_us", "50000");
  write("sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(millicores(), 0U);
  write("sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_quota_us", "25000");
  EXPECT_EQ(millicores(), 500U);
}

TEST_F(CpuQuotaTest, TheTightestGroupAroundTheProcessCounts) {
  write("proc/self/cgroup", "0::/jobs/one");
  write("sys/fs/cgroup/cpu.max", "800000 100000");
  write("sys/fs/cgroup/jobs/cpu.max", "300000 100000");
  write("sys/fs/cgroup/jobs/one/cpu.max", "400000 100000");
  write("sys/fs/cgroup/jobs/two/cpu.max", "100000 100000");
  EXPECT_EQ(millicores(), 3000U);
}

TEST_F(CpuQuotaTest, AGroupThatIsMountedAsTheOutermostIsFound) {
  write("sys/fs/cgroup/cpu.max", "200000 100000");
  for (const char* const path : {"/docker/0123", "/../../system.slice/one"}) {
    write("proc/self/cgroup", std::string("0::") + path);
    EXPECT_EQ(millicores(), 2000U) << path;
  }
}

TEST_F(CpuQuotaTest, ProcessesOfOneGroupHaveItsNumber) {
  write("proc/self/cgroup", "0::/one");
  write("sys/fs/cgroup/one/cpu.max", "200000 100000");
  write("sys/fs/cgroup/two/cpu.max", "200000 100000");
  const CpuQuota one = cpuQuota(root_);
  EXPECT_EQ(cpuQuota(root_), one);
  write("proc/self/cgroup", "0::/two");
  EXPECT_NE(cpuQuota(root_).group, one.group);
}

TEST_F(CpuQuotaTest, WhatIsNoQuotaIsLeftOut) {
  write("proc/self/cgroup", "nonsense\n0::/one\n:");
  for (const char* const text : {"", "0 0", "x", "-5 100", "100000", "9e300 1"}) {
    write("sys/fs/cgroup/one/cpu.max", text);
    EXPECT_EQ(millicores(), 0U) << text;
  }
}

}  // namespace
}  // namespace signccl
