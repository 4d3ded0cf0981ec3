// SPDX-License-Identifier: Apache-2.0
// The controls of the fake NCCL, for tests alone.
//
// The fake is a shared library with NCCL's SONAME, libnccl.so.2, over the fake CUDA driver: what it is given runs on
// the streams of that driver, with tasks in place of kernels. It is stricter than NCCL: messages must have equal sizes,
// and what NCCL leaves undefined is noted. Like NCCL it waits for peers without limit, until it is aborted.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_FAKE_NCCL_H_
#define SIGNCCL_TESTS_FAKE_NCCL_FAKE_NCCL_H_

#include <string>
#include <vector>

#include "nccl/nccl_functions.h"

#define SIGNCCL_FAKE_NCCL_EXPORT __attribute__((visibility("default")))

namespace fake_nccl {

using signccl::NcclResult;

/// Forgets faults and violations, and poses as a version. Waits until no communicator is left, 10 s at most; false if
/// some are.
SIGNCCL_FAKE_NCCL_EXPORT bool reset(int version = 23003);

/// Lets the n-th call from now fail with `result`, without effect; 1 is the next one; 0 lets none fail. Calls that only
/// ask for texts or the version do not count.
SIGNCCL_FAKE_NCCL_EXPORT void failCall(long n, NcclResult result);

/// Calls since the last reset, of those that failCall() counts.
SIGNCCL_FAKE_NCCL_EXPORT long callsMade();

/// All communicators of a rank meet this error: ncclCommGetAsyncError() gives it.
SIGNCCL_FAKE_NCCL_EXPORT void failRank(int rank, NcclResult result);

/// Communicators that are neither destroyed nor aborted.
SIGNCCL_FAKE_NCCL_EXPORT int communicators();

/// Communicators that were aborted since the last reset.
SIGNCCL_FAKE_NCCL_EXPORT int aborted();

/// All-reduces since the last reset, of all communicators.
SIGNCCL_FAKE_NCCL_EXPORT long allReduces();

/// Groups that were put on a stream since the last reset.
SIGNCCL_FAKE_NCCL_EXPORT int groupsOn(signccl::CudaStream stream);

/// Uses that NCCL forbids, or leaves undefined, since the last reset.
SIGNCCL_FAKE_NCCL_EXPORT std::vector<std::string> violations();

}  // namespace fake_nccl

#endif  // SIGNCCL_TESTS_FAKE_NCCL_FAKE_NCCL_H_
