// The communicators and requests that users hold.
#ifndef SIGNCCL_API_HANDLES_H_
#define SIGNCCL_API_HANDLES_H_

#include <memory>
#include <string>

#include "api/handle_table.h"
#include "comm/communicator.h"
#include "signccl/signccl.h"

namespace signccl {

/// A communicator with the text of the last error of a call on it.
struct CommHandle {
  explicit CommHandle(std::unique_ptr<Communicator> owned) : comm(std::move(owned)) {}

  const std::unique_ptr<Communicator> comm;
  std::mutex error_mutex;
  std::string last_error;
};
using CommPointer = std::shared_ptr<CommHandle>;

/// A non-blocking collective. `failure` is set where the collective could not be queued at the end of its group.
struct PendingRequest {
  CommPointer comm;
  Operation* operation = nullptr;
  std::optional<Failure> failure;
};

HandleTable<signcclComm_t, CommPointer>& commHandles();
HandleTable<signcclRequest_t, PendingRequest>& requestHandles();

/// Throws signcclInvalidArgument for NULL and signcclInvalidUsage for a handle that was destroyed.
CommPointer findComm(signcclComm_t comm);

}  // namespace signccl

#endif  // SIGNCCL_API_HANDLES_H_
