// SPDX-License-Identifier: Apache-2.0
// The NCCL group of a thread: calls of several communicators that NCCL begins together.
#ifndef SIGNCCL_NCCL_NCCL_GROUP_H_
#define SIGNCCL_NCCL_NCCL_GROUP_H_

#include "nccl/nccl_library.h"

namespace signccl {

/// Of one thread. Nests as ncclGroupStart() and ncclGroupEnd() do: everything begins at the end of the outermost.
class NcclGroup {
 public:
  static NcclGroup& current();

  /// Throws what throwNcclError() throws; then end() must not follow.
  void start(const NcclLibrary& nccl);
  void end(const NcclLibrary& nccl) noexcept;

  /// What the last outermost group came to; of an error all communicators of the group are the victims.
  [[nodiscard]] NcclResult result() const { return result_; }

 private:
  int depth_ = 0;
  NcclResult result_ = NcclResult::kSuccess;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_GROUP_H_
