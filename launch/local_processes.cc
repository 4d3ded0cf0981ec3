// SPDX-License-Identifier: Apache-2.0
// The children are forked rather than started anew: they have the parsed options and the listening socket already, no
// command line has to be taken apart and put together again, and no secret passes through an environment. The price is
// that the parent must not have threads, so it does nothing but wait and calls nothing of the library.
#include "launch/local_processes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <thread>
#include <unistd.h>
#include <utility>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "launch/error.h"

namespace signccl::launch {
namespace {

constexpr std::chrono::milliseconds kPollInterval{10};

/// Without this, children outlive a parent that was killed.
void dieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

}  // namespace

LocalProcesses::LocalProcesses(int nprocesses) {
  // What is buffered would be written once by every child.
  std::cout.flush();
  std::fflush(nullptr);
  const pid_t parent = getpid();
  for (int number = 0; number < nprocesses; ++number) {
    const pid_t pid = fork();
    if (pid < 0) {
      const std::string reason = std::strerror(errno);
      kill([](const std::string&) {});
      throw LaunchError("starting process " + std::to_string(number) + " of " + std::to_string(nprocesses) +
                        " failed: " + reason);
    }
    if (pid == 0) {
      dieWithParent(parent);
      child_ = number;
      pids_.clear();
      return;
    }
    pids_.push_back(pid);
  }
}

LocalProcesses::~LocalProcesses() {
  kill([](const std::string&) {});
}

bool LocalProcesses::anyRuns() const {
  return std::ranges::any_of(pids_, [](pid_t pid) { return pid != 0; });
}

int LocalProcesses::wait(std::chrono::milliseconds grace, const std::function<void(const std::string&)>& report) {
  // No deadline but that of the children themselves, each of whose waits has one.
  std::optional<Clock::time_point> deadline;
  while (anyRuns()) {
    for (std::size_t number = 0; number < pids_.size(); ++number) {
      int status = 0;
      if (pids_[number] != 0 && waitpid(pids_[number], &status, WNOHANG) > 0) {
        noteEnd(static_cast<int>(number), status, report);
      }
    }
    if (first_failure_ && !deadline) deadline = Clock::now() + grace;
    if (deadline && Clock::now() > *deadline) kill(report);
    if (anyRuns()) std::this_thread::sleep_for(kPollInterval);
  }
  return first_failure_.value_or(0);
}

void LocalProcesses::noteEnd(int number, int status, const std::function<void(const std::string&)>& report) {
  const pid_t pid = std::exchange(pids_[static_cast<std::size_t>(number)], 0);
  if (WIFEXITED(status)) {
    if (WEXITSTATUS(status) != 0 && !first_failure_) first_failure_ = WEXITSTATUS(status);
    return;
  }
  if (!first_failure_) first_failure_ = 1;
  report("process " + std::to_string(number) + " (pid " + std::to_string(pid) + ") was ended by signal " +
         std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")" +
         (has_killed_ ? ", because it did not end after another had failed" : ""));
}

void LocalProcesses::kill(const std::function<void(const std::string&)>& report) {
  has_killed_ = true;
  for (std::size_t number = 0; number < pids_.size(); ++number) {
    if (pids_[number] == 0) continue;
    ::kill(pids_[number], SIGKILL);
    int status = 0;
    // SIGKILL ends a process whatever it does, so this wait is short.
    while (waitpid(pids_[number], &status, 0) < 0 && errno == EINTR) {
    }
    noteEnd(static_cast<int>(number), status, report);
  }
}

}  // namespace signccl::launch
