// SPDX-License-Identifier: Apache-2.0
// Where and when a run takes place.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_

#include <string>
#include <vector>

#include "launch/job_comm.h"

namespace signccl::perf {

/// That of a rank.
struct Gpu {
  int ordinal = 0;  ///< among those that the process sees
  std::string name;
  std::string uuid;
  std::string pci_address;
};

struct Host {
  std::string name;
  int pid = 0;
  std::string machine;    ///< the same for all that share memory, whatever they call themselves
  std::vector<Gpu> gpus;  ///< of the process's ranks; empty: their buffers are in host memory
};
Host thisHost();

/// Those of all processes, [process]. Every process calls it.
std::vector<Host> gatherHosts(launch::JobComm& job);

/// "2026-03-01 12:00:00", local time: the form of nccl-tests.
std::string timeOfDay();

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_HOST_H_
