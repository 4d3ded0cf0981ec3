// SPDX-License-Identifier: Apache-2.0
// A line on standard error that lines of other processes of the job do not cut apart.
#ifndef SIGNCCL_LAUNCH_ERROR_LINE_H_
#define SIGNCCL_LAUNCH_ERROR_LINE_H_

#include <string>

namespace signccl::launch {

/// Writes "program: text" and the end of the line in one piece. Standard error is unbuffered, so that each `<<` of
/// std::cerr is a piece of its own, between which other processes may write theirs.
void printErrorLine(const std::string& program, const std::string& text);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_ERROR_LINE_H_
