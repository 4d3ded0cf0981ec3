// SPDX-License-Identifier: Apache-2.0
// The options that say how many processes there are, alike in every program.
#ifndef SIGNCCL_LAUNCH_COMMAND_LINE_H_
#define SIGNCCL_LAUNCH_COMMAND_LINE_H_

#include <CLI/CLI.hpp>

#include "launch/job.h"

namespace signccl::launch {

inline void addLaunchOptions(CLI::App& app, LaunchOptions& options) {
  constexpr const char* kGroup = "Processes; mpirun, srun and torchrun need none of these";
  app.add_option("-p,--processes", options.processes, "Processes to start on this machine (default: this one alone)")
      ->check(CLI::Range(1, 1024))
      ->group(kGroup);
  app.add_option("--rank", options.rank, "Number of this process, if you start each of them; meet at SIGNCCL_COMM_ID")
      ->check(CLI::Range(0, kMostProcesses - 1))
      ->group(kGroup);
  app.add_option("--nranks", options.nranks, "Number of processes that you start")
      ->check(CLI::Range(1, kMostProcesses))
      ->group(kGroup);
}

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_COMMAND_LINE_H_
