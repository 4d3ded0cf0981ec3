// SPDX-License-Identifier: Apache-2.0
// Processes of this machine, forked by one that watches over them.
#ifndef SIGNCCL_LAUNCH_LOCAL_PROCESSES_H_
#define SIGNCCL_LAUNCH_LOCAL_PROCESSES_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace signccl::launch {

/// Made by the parent, used by the parent and by each of its children.
class LocalProcesses {
 public:
  /// Forks `nprocesses` children; returns in all of them. To be called while the process has one thread, because only
  /// that thread goes on in the children. A child is killed when its parent ends. Throws LaunchError.
  explicit LocalProcesses(int nprocesses);
  /// In the parent: kills the children that are left.
  ~LocalProcesses();
  LocalProcesses(const LocalProcesses&) = delete;
  LocalProcesses& operator=(const LocalProcesses&) = delete;

  /// The number of this child; nothing in the parent.
  [[nodiscard]] std::optional<int> child() const { return child_; }

  /// In the parent: waits until all children have ended. After one has failed, the others have `grace` to do so as
  /// well before they are killed. `report` gets a line about each child that a signal ended.
  ///
  /// @return the exit status of the first child that failed, 1 for one that a signal ended; 0 if none failed
  int wait(std::chrono::milliseconds grace, const std::function<void(const std::string&)>& report);

 private:
  using Clock = std::chrono::steady_clock;

  void noteEnd(int number, int status, const std::function<void(const std::string&)>& report);
  void kill(const std::function<void(const std::string&)>& report);
  [[nodiscard]] bool anyRuns() const;

  std::optional<int> child_;
  std::vector<pid_t> pids_;  ///< [process]; 0: has ended
  std::optional<int> first_failure_;
  bool has_killed_ = false;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_LOCAL_PROCESSES_H_
