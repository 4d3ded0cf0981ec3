// SPDX-License-Identifier: Apache-2.0
// NCCL, which SignCCL is not linked with: found and loaded when a communicator first needs it.
#ifndef SIGNCCL_NCCL_NCCL_LIBRARY_H_
#define SIGNCCL_NCCL_NCCL_LIBRARY_H_

#include <string>

#include "nccl/nccl_functions.h"

namespace signccl {

/// The oldest NCCL that is used: the first one whose communicators can be aborted and made without blocking as they are
/// here, and whose configuration has all fields of NcclConfig.
inline constexpr int kOldestNccl = ncclVersionCode(2, 18, 1);

/// A loaded NCCL; it is never unloaded.
struct NcclLibrary : NcclFunctions {
  std::string file;  ///< of libnccl.so.2, as it was loaded
  int version = 0;   ///< ncclVersionCode()
};

/// NCCL of this process, the same for all that ask. The first of these that there is:
///
///   1. the libnccl.so.2 that is loaded in the process, such as PyTorch's: an older one that was loaded first would
///      take its place;
///   2. `wanted`, the value of SIGNCCL_NCCL_LIBRARY: the path of libnccl.so.2 or of the folder that holds it; may be
///      empty;
///   3. libnccl.so.2 where the dynamic linker finds it.
///
/// Says in the log which one. Any thread. Throws signcclInvalidUsage if `wanted` cannot be loaded, and
/// signcclSystemError, with what to install, if there is none, or one that is too old or lacks a function.
const NcclLibrary& loadNccl(const std::string& wanted);

/// "2.18.1" for 21801.
std::string ncclVersionText(int version);

/// The NCCL that has these functions, as loadNccl() makes it: for tests. `library` is of dlopen().
NcclLibrary ncclLibraryOf(void* library);

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_LIBRARY_H_
