// SPDX-License-Identifier: Apache-2.0
#include "launch/job_comm.h"

#include <cstring>
#include <string>

#include "launch/error.h"

namespace signccl::launch {
namespace {

/// Of a communicator whose ranks are the processes of the job, which the texts of its errors call ranks.
void check(signcclResult_t result, int process, int nprocesses) {
  if (result == signcclSuccess) return;
  const std::string text = signcclGetLastError(nullptr);
  if (nprocesses == 1) throw LaunchError(text);
  throw LaunchError("process " + std::to_string(process) + " (each rank is a process here): " + text);
}

}  // namespace

JobComm::JobComm(const Place& place, const signcclUniqueId& id)
    : process_(place.process), nprocesses_(place.nprocesses) {
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.nThreads = 1;
  config.commName = "processes";
  check(signcclCommInitRankConfig(&comm_, nprocesses_, id, process_, &config), process_, nprocesses_);
}

JobComm::~JobComm() {
  if (comm_ != nullptr) signcclCommDestroy(comm_);
}

signcclUniqueId JobComm::shareUniqueId() {
  signcclUniqueId id{};
  if (isFirst()) check(signcclGetUniqueId(&id), process_, nprocesses_);
  return allGather(id).front();
}

void JobComm::abort() noexcept {
  if (comm_ != nullptr) signcclCommAbort(comm_);
}

void JobComm::gather(const void* mine, void* all, std::size_t bytes) {
  if (comm_ != nullptr) {
    check(signcclCommAllGather(mine, all, bytes, comm_), process_, nprocesses_);
  } else if (bytes > 0) {
    std::memcpy(all, mine, bytes);
  }
}

}  // namespace signccl::launch
