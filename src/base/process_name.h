// SPDX-License-Identifier: Apache-2.0
// Names of this process, and file names made from them.
#ifndef SIGNCCL_BASE_PROCESS_NAME_H_
#define SIGNCCL_BASE_PROCESS_NAME_H_

#include <string>
#include <string_view>

namespace signccl {

/// Name of the host without its domain.
std::string hostName();

/// Replaces %h by the host, %p by the process id and %% by a percent sign; everything else stays.
std::string expandFileName(std::string_view pattern);

}  // namespace signccl

#endif  // SIGNCCL_BASE_PROCESS_NAME_H_
