// SPDX-License-Identifier: Apache-2.0
// Where SignCCL is built without the headers of UCX.
#include "base/error.h"
#include "transport/process_transport.h"

namespace signccl {

std::unique_ptr<ProcessTransport> makeProcessTransport(const ProcessTransportOptions& /*options*/, Rank /*rank*/,
                                                       int /*nranks*/) {
  throw Error(signcclInvalidUsage,
              "ranks in several processes need UCX, and SignCCL was built without its headers (Debian: "
              "libucx-dev)");
}

}  // namespace signccl
