#include "launch/job.h"

#include <csignal>
#include <unistd.h>

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

/// Runs a forked job of three. A child that comes back from it ends here, as a program would.
int runForkedJob(const std::function<int(Exchange&)>& body) {
  const pid_t parent = getpid();
  int status = 0;
  try {
    status = runJob({JobKind::kForked, {0, 3, "-p"}}, "job_test", body);
  } catch (const std::exception&) {
    status = 1;
  }
  if (getpid() != parent) _exit(status);
  return status;
}

TEST(RunJobTest, ForkedProcessesReachEachOther) {
  EXPECT_EQ(runForkedJob([](Exchange& exchange) {
              const auto parts = exchange.allGather(std::to_string(exchange.process()));
              return parts == std::vector<std::string>{"0", "1", "2"} ? 0 : 1;
            }),
            0);
}

TEST(RunJobTest, AForkedProcessThatDiesEndsTheOthers) {
  testing::internal::CaptureStderr();
  const int status = runForkedJob([](Exchange& exchange) {
    exchange.barrier();
    if (exchange.process() == 1) raise(SIGKILL);
    exchange.barrier();
    return 0;
  });
  EXPECT_NE(status, 0);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("job_test: process 1"));
}

TEST(RunJobTest, WhatAProcessThrowsIsToldToTheOthers) {
  EXPECT_EQ(runForkedJob([](Exchange& exchange) {
              if (exchange.process() == 1) throw LaunchError("no more ink");
              const std::string text = refusalOf([&] { exchange.barrier(); });
              return text == "process 1 failed: no more ink" ? 0 : 99;
            }),
            1);
}

TEST(RunJobTest, AProcessAloneNeedsNobody) {
  EXPECT_EQ(runJob({}, "job_test", [](Exchange& exchange) { return exchange.nprocesses() + 41; }), 42);
}

}  // namespace
}  // namespace signccl::launch
