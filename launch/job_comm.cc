// SPDX-License-Identifier: Apache-2.0
#include "launch/job_comm.h"

#include <cstring>
#include <string>

#include "launch/error.h"

namespace signccl::launch {
namespace {

/// `rank`: of the communicator of all processes, hence a process.
void check(signcclResult_t result, int process) {
  if (result == signcclSuccess) return;
  throw LaunchError("process " + std::to_string(process) +
                    " (ranks are processes here): " + signcclGetLastError(nullptr));
}

}  // namespace

JobComm::JobComm(const Place& place, const signcclUniqueId& id)
    : process_(place.process), nprocesses_(place.nprocesses) {
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.nThreads = 1;
  config.commName = "processes";
  check(signcclCommInitRankConfig(&comm_, nprocesses_, id, process_, &config), process_);
}

JobComm::~JobComm() {
  if (comm_ != nullptr) signcclCommDestroy(comm_);
}

signcclUniqueId JobComm::shareUniqueId() {
  signcclUniqueId id{};
  if (isFirst()) check(signcclGetUniqueId(&id), process_);
  return allGather(id).front();
}

void JobComm::abort() noexcept {
  if (comm_ != nullptr) signcclCommAbort(comm_);
}

void JobComm::gather(const void* mine, void* all, std::size_t bytes) {
  if (comm_ != nullptr) {
    check(signcclCommAllGather(mine, all, bytes, comm_), process_);
  } else if (bytes > 0) {
    std::memcpy(all, mine, bytes);
  }
}

}  // namespace signccl::launch
