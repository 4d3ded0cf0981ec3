// SPDX-License-Identifier: Apache-2.0
#include "launch/error.h"
#include "launch/pmix_store.h"

namespace signccl::launch {

bool hasPmix() { return false; }

int pmixJobSize() {
  throw LaunchError(
      "PMIX_RANK is set, and only PMIx knows of how many processes; this build has no PMIx (Debian package "
      "libpmix-dev): give --rank and --nranks");
}

std::string pmixShare(int /*process*/, const std::string& /*value*/, std::chrono::seconds /*timeout*/) {
  throw LaunchError("this build has no PMIx (Debian package libpmix-dev)");
}

}  // namespace signccl::launch
