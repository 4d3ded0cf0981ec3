// SPDX-License-Identifier: Apache-2.0
// Why the last call of a thread failed that SignCCL had taken.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_LAST_ERROR_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_LAST_ERROR_H_

#include <string>

namespace signccl::nccl_preload {

/// Empty if it did not fail.
inline std::string& lastErrorOfThread() {
  static thread_local std::string text;
  return text;
}

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_LAST_ERROR_H_
