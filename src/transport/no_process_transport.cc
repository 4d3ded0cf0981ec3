// Where SignCCL is built without UCX.
#include "base/error.h"
#include "transport/process_transport.h"

namespace signccl {

std::string processTransportVersion() { return {}; }

std::unique_ptr<ProcessTransport> makeProcessTransport(const ProcessTransportOptions& /*options*/, Rank /*rank*/,
                                                       int /*nranks*/) {
  throw Error(signcclInvalidUsage, "SignCCL was built without UCX: ranks must be threads of one process");
}

}  // namespace signccl
