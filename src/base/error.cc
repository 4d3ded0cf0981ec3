// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

namespace signccl {

void throwInternal(const char* what, const char* file, int line) {
  throw Error(signcclInternalError,
              "invariant broken: " + std::string(what) + " at " + file + ":" + std::to_string(line));
}

}  // namespace signccl
