// SPDX-License-Identifier: Apache-2.0
// What a program has written to SignCCL into the configuration of one call (signccl/nccl_mark.h).
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_MARKS_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_MARKS_H_

#include <optional>

#include "nccl/back/nccl_abi.h"
#include "rules/types.h"

namespace signccl::nccl_preload {

/// Copied: the list may be gone before the group of the call ends.
struct Mark {
  std::optional<rules::Action> action;  ///< nothing: the call is not marked
  std::optional<rules::TieRule> tie;
};

/// Reads the marks of a call, of which `config` may be null. NCCL does not look at the list, so it may be malformed: at
/// most 64 entries are read. Throws Failure for a mark of ours whose value is none.
Mark readMark(const CollConfig* config);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_MARKS_H_
