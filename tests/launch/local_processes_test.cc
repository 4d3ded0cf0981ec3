// SPDX-License-Identifier: Apache-2.0
#include "launch/local_processes.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::launch {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Outcome {
  int status = 0;
  std::vector<std::string> lines;
};

/// The children exit with what body(number) gives.
Outcome runChildren(int nprocesses, std::chrono::milliseconds grace, const std::function<int(int)>& body) {
  LocalProcesses processes(nprocesses);
  if (processes.child()) _exit(body(*processes.child()));
  Outcome outcome;
  outcome.status = processes.wait(grace, [&](const std::string& line) { outcome.lines.push_back(line); });
  return outcome;
}

TEST(LocalProcessesTest, ChildrenThatEndWellGiveZero) {
  const Outcome outcome = runChildren(5, 1s, [](int) { return 0; });
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.lines, IsEmpty());
}

TEST(LocalProcessesTest, EachChildHasItsNumber) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  runChildren(3, 1s, [&](int number) {
    const char digit = static_cast<char>('0' + number);
    return write(pipe_ends[1], &digit, 1) == 1 ? 0 : 1;
  });
  std::string digits(3, '?');
  for (char& digit : digits) EXPECT_EQ(read(pipe_ends[0], &digit, 1), 1);
  std::ranges::sort(digits);
  EXPECT_EQ(digits, "012");
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST(LocalProcessesTest, TheStatusOfTheFirstThatFailsIsThatOfAll) {
  const Outcome outcome = runChildren(3, 10s, [](int number) {
    if (number != 1) std::this_thread::sleep_for(300ms);
    return number == 1 ? 7 : 3;
  });
  EXPECT_EQ(outcome.status, 7);
  EXPECT_THAT(outcome.lines, IsEmpty());
}

TEST(LocalProcessesTest, AChildThatASignalEndsIsNamed) {
  const Outcome outcome = runChildren(2, 10s, [](int number) {
    if (number == 1) raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.lines, ElementsAre(AllOf(HasSubstr("process 1 (pid "), HasSubstr("signal 9 (Killed)"))));
}

TEST(LocalProcessesTest, OnesThatDoNotEndAreKilledAndNamed) {
  const auto start = steady_clock::now();
  const Outcome outcome = runChildren(2, 200ms, [](int number) {
    if (number == 0) std::this_thread::sleep_for(1h);
    return 4;
  });
  EXPECT_LT(steady_clock::now() - start, 10s);
  EXPECT_EQ(outcome.status, 4);
  EXPECT_THAT(outcome.lines, ElementsAre(AllOf(HasSubstr("process 0"), HasSubstr("another had failed"))));
}

TEST(LocalProcessesTest, ChildrenDoNotOutliveTheirParent) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const LocalProcesses processes(2);
    if (processes.child()) std::this_thread::sleep_for(1h);
    raise(SIGKILL);
  }
  close(pipe_ends[1]);
  char nothing = 0;
  // The pipe ends when the last process that holds it has ended.
  EXPECT_EQ(read(pipe_ends[0], &nothing, 1), 0);
  close(pipe_ends[0]);
}

}  // namespace
}  // namespace signccl::launch
