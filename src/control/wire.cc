// SPDX-License-Identifier: Apache-2.0
#include "control/wire.h"

#include "base/error.h"

namespace signccl {

void WireReader::fail(const char* what) {
  throw Error(signcclRemoteError, std::string("malformed control message: ") + what);
}

}  // namespace signccl
