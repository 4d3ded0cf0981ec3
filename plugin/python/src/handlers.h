// SPDX-License-Identifier: Apache-2.0
/*
 * What libsignccl_jax.so exports: handlers of XLA's foreign function interface (FFI), for the platforms "cpu" and
 * "CUDA", and the table of the ranks that they use. Python calls it through signccl.jax; there is no Python in it.
 *
 * The handlers take any number of arrays in one call. Their first argument is `place`, int32[2]: the rank that the
 * calling device is, or -1 where the process has only one; and the number of the step, or -1 where the calls have the
 * running number of the communicator. Enumerations are those of the C API. Errors of the C API become errors of XLA
 * with the text of signcclGetLastError().
 *
 * Handlers for CUDA enqueue on XLA's stream and return. Arrays are on the device then, `place` too, so that its numbers
 * cannot be read without a wait for the stream: the rank is that of the calling device, and calls have the running
 * number of the communicator. What fails after a handler has returned, the next call on the communicator tells. They
 * are not declared fit for command buffers, which are CUDA graphs: a call has a number, and a replay would repeat it.
 */
#ifndef SIGNCCL_JAX_HANDLERS_H_
#define SIGNCCL_JAX_HANDLERS_H_

#include <cstddef>
#include <cstdint>

#include "signccl/signccl.h"
#include "xla/ffi/api/c_api.h"

extern "C" {

/**
 * signcclAllReduceVote() of any number of arrays in one exchange.
 *
 * Arguments: place, n arrays, and any others, which are not looked at: they make the call come after whatever computes
 * them. Results: n arrays of the same shapes, which may be the arguments' memory.
 * Attributes, all int64: ranks, zero, tie, seed.
 *
 * Array i has the call number seed * 2^48 + n * step + i, if `place` has a step.
 */
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxVote(XLA_FFI_CallFrame* frame);

/** signcclAllReduceAvg(); else as signcclJaxVote(), without the attribute `tie`. */
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxAvg(XLA_FFI_CallFrame* frame);

/**
 * signcclLionStep().
 *
 * Arguments: place; float32[2][ngroups], learning rates and weight decays; n parameters, n momenta, n gradients.
 * Results: n parameters, n momenta, which should be the arguments' memory, else it is copied first.
 * Attributes: ranks, aggregation, zero, tie, rounding, seed (int64), beta1, beta2 (float64), and groups (int32[n],
 * which hyperparameters an array has).
 *
 * The step has the call number seed * 2^48 + step, and the rounding seed `seed`.
 */
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxLionStep(XLA_FFI_CallFrame* frame);

/** signcclJaxVote() and signcclJaxAvg() for arrays on a CUDA device. */
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxVoteOnCuda(XLA_FFI_CallFrame* frame);
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxAvgOnCuda(XLA_FFI_CallFrame* frame);

/**
 * signcclJaxLionStep() for arrays on a CUDA device. Results must be the arguments' memory. Learning rates and weight
 * decays are read by the stream, and are not compared among ranks.
 *
 * A rank keeps the Lion objects of the last sets of addresses, shapes and rules, 16 at most (lion_cache.h), until it is
 * taken away. For a set that is new, device memory is allocated, for which CUDA may wait until the device is idle.
 */
SIGNCCL_EXPORT XLA_FFI_Error* signcclJaxLionStepOnCuda(XLA_FFI_CallFrame* frame);

/**
 * Makes ranks of this process known to the handlers.
 *
 * @param comms    [n] open communicators of different ranks of one group
 * @param ranks    [n] their ranks
 * @param devices  [n] numbers of their devices among those of this process, or -1 if devices say which rank they are
 * @return the number for the attribute `ranks`, which is not used again
 */
SIGNCCL_EXPORT std::int64_t signcclJaxAddRanks(const signcclComm_t* comms, const int* ranks, const int* devices,
                                               std::size_t n);

/** Says whether a call that uses them is under way: 1 or 0. */
SIGNCCL_EXPORT int signcclJaxAreRanksBusy(std::int64_t number);

/** Takes them away with what calls keep for them, and waits for the calls that are under way. To be called before the
    communicators are destroyed. */
SIGNCCL_EXPORT void signcclJaxRemoveRanks(std::int64_t number);
}

#endif  // SIGNCCL_JAX_HANDLERS_H_
