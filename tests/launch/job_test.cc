// SPDX-License-Identifier: Apache-2.0
#include "launch/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Variables kThirdOfFour = {{"RANK", "2"}, {"WORLD_SIZE", "4"}};

TEST(PlanJobTest, WithoutAnythingThereIsOneProcess) {
  const Job job = planJob({}, Variables{});
  EXPECT_EQ(job.kind, JobKind::kAlone);
  EXPECT_EQ(job.place.nprocesses, 1);
  EXPECT_EQ(job.place.origin, "");
}

TEST(PlanJobTest, ProcessesToStartAreForked) {
  const Job job = planJob({.processes = 3, .rank = {}, .nranks = {}}, Variables{});
  EXPECT_EQ(job.kind, JobKind::kForked);
  EXPECT_EQ(job.place.nprocesses, 3);
}

TEST(PlanJobTest, OneProcessIsAloneWhoeverSaysSo) {
  const Job asked = planJob({.processes = 1, .rank = {}, .nranks = {}}, Variables{});
  EXPECT_EQ(asked.kind, JobKind::kAlone);
  EXPECT_EQ(asked.place.origin, "-p");
  const Job launched = planJob({}, Variables{{"RANK", "0"}, {"WORLD_SIZE", "1"}});
  EXPECT_EQ(launched.kind, JobKind::kAlone);
  EXPECT_EQ(launched.place.origin, "torchrun");
}

TEST(PlanJobTest, ALaunchersProcessHasItsPlace) {
  const Job job = planJob({}, kThirdOfFour);
  EXPECT_EQ(job.kind, JobKind::kLaunched);
  EXPECT_EQ(job.place.process, 2);
  EXPECT_EQ(job.place.nprocesses, 4);
}

TEST(PlanJobTest, ExplicitNumbersWinOverTheLaunchers) {
  const Job job = planJob({.processes = {}, .rank = 5, .nranks = 6}, kThirdOfFour);
  EXPECT_EQ(job.place.process, 5);
  EXPECT_EQ(job.place.nprocesses, 6);
}

TEST(PlanJobTest, ProcessesOfALauncherStartNoOthers) {
  EXPECT_THAT(refusalOf([] { planJob({.processes = 3, .rank = {}, .nranks = {}}, kThirdOfFour); }),
              AllOf(HasSubstr("-p 3"), HasSubstr("torchrun"), HasSubstr("4")));
  EXPECT_THAT(refusalOf([] { planJob({.processes = 3, .rank = 0, .nranks = 3}, Variables{}); }),
              HasSubstr("one of the two"));
}

TEST(RunJobTest, AProcessAloneNeedsNobody) {
  EXPECT_EQ(runJob({}, "job_test", [](JobComm& job) { return job.nprocesses() + 41; }), 42);
}

}  // namespace
}  // namespace signccl::launch
