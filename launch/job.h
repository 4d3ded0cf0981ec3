// SPDX-License-Identifier: Apache-2.0
// How a program becomes one process of several: processes that it forks, that a launcher has started, or that the user
// has numbered. Programs use this file and job_comm.h.
#ifndef SIGNCCL_LAUNCH_JOB_H_
#define SIGNCCL_LAUNCH_JOB_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "launch/job_comm.h"
#include "launch/launcher.h"

namespace signccl::launch {

/// What the command line says.
struct LaunchOptions {
  std::optional<int> processes;  ///< -p
  std::optional<int> rank;       ///< --rank
  std::optional<int> nranks;     ///< --nranks
};

enum class JobKind : std::uint8_t {
  kAlone,     ///< one process
  kForked,    ///< processes that this one is to fork
  kLaunched,  ///< this is one of several processes
};

struct Job {
  JobKind kind = JobKind::kAlone;
  /// Of this process; for a forked job, of a process 0 that is not there yet. Without an origin if nobody has said how
  /// many processes there are.
  Place place;
};

/// What kind of job the options and the environment make: the options win, the launcher's variables come next. Throws
/// LaunchError if they contradict each other.
Job planJob(const LaunchOptions& options, const Environment& environment = environmentVariable);

/// Runs `body` in each process of the job, once all of them have joined. To be called while the process has one thread,
/// before anything of the library is. `name` is that of the program, for messages. If `body` throws, the others fail
/// instead of waiting for this process.
///
/// SIGNCCL_COMM_ID is removed from the environment of jobs of several processes: they meet there themselves, and pass
/// on the unique ids of the communicators that they make later.
///
/// @return the exit status of this process: that of `body`; of a parent of forked processes, that of the first that
///         failed
int runJob(const Job& job, const std::string& name, const std::function<int(JobComm&)>& body);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_JOB_H_
