// SPDX-License-Identifier: Apache-2.0
// Jobs of several processes: how they meet, what they tell each other, and that none waits for one that has failed.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/job.h"
#include "launch/local_processes.h"
#include "launch/meet.h"
#include "refusal.h"
#include "variables.h"

namespace signccl::launch {
namespace {

using testing::HasSubstr;

using Body = std::function<int(JobComm& job)>;

/// Runs a forked job of three. A child that comes back from it ends here, as a program would.
int runForkedJob(const Body& body) {
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

bool contains(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST(ForkedJobTest, ProcessesGetTheValuesOfAll) {
  EXPECT_EQ(runForkedJob([](JobComm& job) {
              const std::vector<double> pair = {1.0 * job.process(), 0.5};
              job.barrier();
              const bool is_right = job.allGather(10 * job.process()) == std::vector<int>{0, 10, 20} &&
                                    job.allGather(std::span(pair)) == std::vector<double>{0, 0.5, 1, 0.5, 2, 0.5};
              return is_right ? 0 : 1;
            }),
            0);
}

TEST(ForkedJobTest, CommunicatorsOfTheProgramMeetByTheSharedId) {
  setenv("SIGNCCL_COMM_ID", "127.0.0.1:1", 1);  // nobody may use it any more
  EXPECT_EQ(runForkedJob([](JobComm& job) {
              signcclComm_t comm = nullptr;
              // In reverse order, so that the ranks differ from the processes.
              const int rank = job.nprocesses() - 1 - job.process();
              if (signcclCommInitRank(&comm, job.nprocesses(), job.shareUniqueId(), rank) != signcclSuccess) return 1;
              return signcclCommDestroy(comm) == signcclSuccess ? 0 : 1;
            }),
            0);
  unsetenv("SIGNCCL_COMM_ID");
}

TEST(ForkedJobTest, AProcessThatDiesEndsTheOthers) {
  testing::internal::CaptureStderr();
  const int status = runForkedJob([](JobComm& job) {
    job.barrier();
    if (job.process() == 1) raise(SIGKILL);
    job.barrier();
    return 0;
  });
  EXPECT_NE(status, 0);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("job_test: process 1"));
}

TEST(ForkedJobTest, AProcessThatDiesBeforeItJoinsEndsTheOthers) {
  testing::internal::CaptureStderr();
  const pid_t parent = getpid();
  const int status = [&] {
    LocalProcesses processes(2);
    if (processes.child()) {
      if (*processes.child() == 1) raise(SIGKILL);
      sleep(3600);  // as one that waits for the other to join
    }
    return processes.wait(std::chrono::milliseconds(100), [](const std::string& line) { std::cerr << line << '\n'; });
  }();
  ASSERT_EQ(getpid(), parent);
  EXPECT_EQ(status, 1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("process 1 "));
}

TEST(ForkedJobTest, AProcessThatThrowsIsNamedToTheOthers) {
  EXPECT_EQ(runForkedJob([](JobComm& job) {
              if (job.process() == 1) throw LaunchError("no more ink");
              const std::string text = refusalOf([&] { job.barrier(); });
              return contains(text, "rank 1 aborted the communicator") ? 0 : 99;
            }),
            1);
}

TEST(ForkedJobTest, AProcessThatReturnsEarlyIsNamedToTheOthers) {
  EXPECT_EQ(runForkedJob([](JobComm& job) {
              job.barrier();  // else a slow process would hear of it while it joins
              if (job.process() == 0) return 0;
              const std::string text = refusalOf([&] { job.barrier(); });
              return contains(text, "rank 0 destroyed its communicator") ? 0 : 99;
            }),
            0);
}

TEST(ForkedJobTest, ProcessesThatDisagreeInWhatTheyGatherAreNamed) {
  EXPECT_EQ(runForkedJob([](JobComm& job) {
              const std::vector<int> mine(job.process() == 2 ? 5U : 3U);
              const std::string text = refusalOf([&] { job.allGather(std::span(mine)); });
              return contains(text, "bytes is 12 on rank 0 and 20 on rank 2") ? 0 : 99;
            }),
            0);
}

/// Two processes that meet under these variables, all of them started alike.
int meetAsTwo(const Variables& variables) {
  LocalProcesses processes(2);
  if (processes.child()) {
    const auto job = meet({*processes.child(), 2, "test"}, variables);
    const bool is_right =
        job->allGather(job->process()) == std::vector<int>{0, 1} && std::getenv("SIGNCCL_COMM_ID") == nullptr;
    _exit(is_right ? 0 : 1);
  }
  return processes.wait(std::chrono::seconds(10), [](const std::string&) {});
}

/// Below the ports that the system gives away by itself, and another one for each process that tests.
int somePort() { return 20'000 + 2 * (getpid() % 5000); }

TEST(MeetTest, ProcessesMeetAtSigncclCommId) {
  EXPECT_EQ(meetAsTwo({{"SIGNCCL_COMM_ID", "localhost:" + std::to_string(somePort())}}), 0);
}

TEST(MeetTest, ProcessesMeetAtMasterAddr) {
  EXPECT_EQ(meetAsTwo({{"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", std::to_string(somePort())}}), 0);
}

}  // namespace
}  // namespace signccl::launch
