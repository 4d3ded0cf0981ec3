// SPDX-License-Identifier: Apache-2.0
// File descriptors of this process, which the user's program may use up.
#ifndef SIGNCCL_BASE_DESCRIPTORS_H_
#define SIGNCCL_BASE_DESCRIPTORS_H_

#include <cstddef>
#include <string>

namespace signccl {

/// "too many open files: 1024 of 1024 that `ulimit -n` allows"
std::string tooManyOpenFiles();

/// Throws signcclSystemError with that text unless `wanted` more descriptors may be opened. Another thread may take
/// them right afterwards.
void requireDescriptors(std::size_t wanted);

}  // namespace signccl

#endif  // SIGNCCL_BASE_DESCRIPTORS_H_
