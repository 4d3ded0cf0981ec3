// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_group.h"

#include "base/per_thread.h"
#include "nccl/nccl_error.h"

namespace signccl {

NcclGroup& NcclGroup::current() { return PerThread<NcclGroup>::get(); }

void NcclGroup::start(const NcclLibrary& nccl) {
  checkNccl(nccl, nccl.ncclGroupStart(), "ncclGroupStart", nullptr);
  if (depth_++ == 0) result_ = NcclResult::kSuccess;
}

void NcclGroup::end(const NcclLibrary& nccl) noexcept {
  const NcclResult result = nccl.ncclGroupEnd();
  --depth_;
  if (result_ == NcclResult::kSuccess || result_ == NcclResult::kInProgress) result_ = result;
}

}  // namespace signccl
