// SPDX-License-Identifier: Apache-2.0
// The value of LD_PRELOAD.
#ifndef SIGNCCL_PLUGIN_RUN_PRELOAD_LIST_H_
#define SIGNCCL_PLUGIN_RUN_PRELOAD_LIST_H_

#include <string>
#include <vector>

namespace signccl::run {

/// LD_PRELOAD with `libraries` in front of those of `present`, its value so far. They are first because a tool for MPI
/// calls PMPI, which what stands behind it does not see. Runtimes of sanitizers stay in front of all, as they must. A
/// library that is in `present` already is not named twice.
std::string preloadList(const std::vector<std::string>& libraries, const std::string& present);

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_PRELOAD_LIST_H_
