/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SignCCL: collective communication of signs.
 *
 * Two collectives in the shape of NCCL. Every rank gives the signs of a vector; signcclAllReduceVote()
 * gives every rank the majority sign of each element, signcclAllReduceAvg() the mean of the signs. Results
 * are counted in integers, so they are exact and bit-identical on every rank, whatever the algorithm, the
 * instruction set or the number of threads. docs/semantics.md defines them fully. signcclAllReduceSum() is for programs
 * that sum values which are signs already. signccl/lion.h has the steps of Distributed Lion, which start from gradients
 * and end in parameters.
 *
 * Conventions
 *   1. Every function that can fail returns a signcclResult_t; nothing throws across this header.
 *      signcclGetLastError() has the details in words.
 *   2. `count` is always in elements, sizes named `...Bytes` in bytes, times named `...Ms` in milliseconds.
 *   3. Buffers belong to the caller. The library reads sendbuff and writes recvbuff between the call and its
 *      completion, and keeps no pointer afterwards. A buffer needs no alignment beyond that of a byte. A recvbuff must
 *      not overlap a buffer of another call that is under way, such as one of the same group.
 *   4. A communicator is one rank's handle. One thread at a time may use it; different communicators may be
 *      used by different threads at once. signcclCommAbort(), signcclCommAbortWithReason(),
 *      signcclCommGetAsyncError() and signcclGetLastError() may be called from any thread at any time.
 *   5. All ranks of a communicator call the same collectives in the same order with the same count, types and
 *      rules. Ranks that disagree all get signcclInvalidUsage and a message with both ranks and both values.
 *   6. Structs with a `size` field may get new fields at their end in later versions; no field ever moves or goes. The
 *      library reads as many bytes as `size` says. Fields that the caller's header does not have yet get their
 *      defaults. If the caller's header is newer than the library, the fields that the library does not know must be
 *      left as the initializer set them, else the call returns signcclInvalidArgument. The library recognises defaults
 *      by their bytes: every 4 bytes of such fields are 0 (as in NULL) or SIGNCCL_CONFIG_UNDEF_INT, since the
 *      initializer writes nothing else into new fields. In a struct that the library fills, it writes the fields that
 *      both sides know.
 *      While the major version is 0, this holds between patch versions; a new minor version has a new SONAME.
 *   7. After fork() communicators and requests stay with the parent. In the child their functions return
 *      signcclInvalidUsage and touch nothing of the parent's, and signcclCommDestroy() only drops the handle. A child
 *      may make communicators of its own; one between processes only if the parent had none when it forked.
 */
#ifndef SIGNCCL_SIGNCCL_H_
#define SIGNCCL_SIGNCCL_H_

#include "signccl/collectives.h"
#include "signccl/comm.h"
#include "signccl/types.h"

#endif /* SIGNCCL_SIGNCCL_H_ */
