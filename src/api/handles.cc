#include "api/handles.h"

#include "base/error.h"

namespace signccl {

// Leaked on purpose: threads of the user may still hold handles while the process ends.
HandleTable<signcclComm_t, CommPointer>& commHandles() {
  static auto* const table = new HandleTable<signcclComm_t, CommPointer>;
  return *table;
}

HandleTable<signcclRequest_t, PendingRequest>& requestHandles() {
  static auto* const table = new HandleTable<signcclRequest_t, PendingRequest>;
  return *table;
}

CommPointer findComm(signcclComm_t comm) {
  require(comm != nullptr, "comm is NULL");
  std::optional<CommPointer> found = commHandles().find(comm);
  if (!found) throw Error(signcclInvalidUsage, "invalid communicator handle: destroyed or never created");
  return *std::move(found);
}

}  // namespace signccl
