/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results, element types and rules of SignCCL; part of signccl.h.
 */
#ifndef SIGNCCL_TYPES_H_
#define SIGNCCL_TYPES_H_

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "signccl/version.h"

#if defined(_WIN32)
#define SIGNCCL_EXPORT
#else
#define SIGNCCL_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------- results */

/** Result of a call. Codes 0 to 8 mean what they mean in NCCL. */
typedef enum {
  signcclSuccess = 0,
  signcclUnhandledCudaError = 1, /**< a CUDA call failed */
  signcclSystemError = 2,        /**< a system call failed: memory, a thread, a file; if a collective was under way, its
                                      communicator is unusable */
  signcclInternalError = 3,      /**< a bug in SignCCL; please report it */
  signcclInvalidArgument = 4,    /**< an argument is wrong; the call had no effect, everything stays usable */
  signcclInvalidUsage = 5,       /**< the calls do not fit together. If ranks disagree, their communicator is unusable;
                                      a wrong order of calls or a bad setting of one rank changes nothing */
  signcclRemoteError = 6,        /**< another rank failed, aborted or left; the communicator is unusable */
  signcclInProgress = 7,         /**< not an error: the operation goes on */
  signcclTimeout = 8,            /**< a deadline passed; the communicator is unusable */
  signcclNumResults = 9
} signcclResult_t;

/* --------------------------------------------------------------------------------- types and their values */

/** Types of elements. Where NCCL has the type, the value is NCCL's. */
typedef enum {
  signcclInt8 = 0,     /**< send: sign of the value. recv: vote -1, 0 or +1; avg the sum of the signs */
  signcclInt32 = 2,    /**< recv of avg only: the sum of the signs */
  signcclFloat16 = 6,  /**< IEEE 754 binary16 */
  signcclFloat32 = 7,  /**< IEEE 754 binary32 */
  signcclFloat64 = 8,  /**< IEEE 754 binary64 */
  signcclBfloat16 = 9, /**< the upper half of a binary32 */
  signcclInt16 = 64,   /**< recv of avg only: the sum of the signs */
  signcclBits = 65     /**< packed signs: element i is bit i % 64 of 64-bit little-endian word i / 64, 1 = positive;
                            a buffer has ceil(count / 64) whole words; padding bits are ignored on input and 0
                            on output; not a recvtype of avg, nor of a vote with signcclTieZero */
} signcclDataType_t;

/** What the sign of zero, of minus zero and of NaN is. */
typedef enum {
  signcclZeroBinary = 0, /**< sign(x) = -1 if x < 0, else +1: zero and NaN count as +1; 1 bit on the wire */
  signcclZeroTernary = 1 /**< sign(0) = sign(-0) = sign(NaN) = 0, an abstention; 2 bits on the first leg */
} signcclZeroRule_t;

/** What a vote gives where as many ranks are positive as are negative. */
typedef enum {
  signcclTieZero = 0,     /**< 0, as in the paper's formula sign(sum); the result has three values */
  signcclTiePositive = 1, /**< +1 */
  signcclTieNegative = 2, /**< -1 */
  signcclTieRandom = 3 /**< +1 or -1 by a random bit, independent for every element and every call, and the same on all
                            ranks: a function of the element's index and of the sequence number of the call, defined
                            in docs/semantics.md. The sequence number of a communicator's first collective is 0, and
                            each call counts, in a group too */
} signcclTieRule_t;

/** What a sum may leave in recvbuff where values do not fit the zero rule, so that there is no sum. */
typedef enum {
  signcclMisfitKeep = 0,   /**< what was there before: no rank writes its recvbuff until all ranks know that all values
                                of all ranks fit. The default */
  signcclMisfitDiscard = 1 /**< anything. Long vectors are then packed, sent and summed piece by piece, which is faster
                                and takes less memory. For callers that write all of recvbuff again anyway, for
                                example by a sum of another library that is not in place */
} signcclMisfitRule_t;

/** Which values signcclAllReduceSum() met, on all ranks together. A later one includes the earlier ones. */
typedef enum {
  signcclValuesSigns = 0, /**< -1 and +1 only */
  signcclValuesZeros = 1, /**< also 0, but no -0 */
  signcclValuesOther = 2  /**< also something else, such as 2, -0, NaN or an infinity */
} signcclValues_t;

/** Marks a field of a config struct that the caller leaves to the library. */
#define SIGNCCL_CONFIG_UNDEF_INT INT_MIN
#define SIGNCCL_CONFIG_MAGIC 0x5167ccc1u

/**
 * Rules of one collective. Initialise it with SIGNCCL_SIGN_CONFIG_INITIALIZER, then set fields.
 * Undefined fields mean signcclZeroBinary, signcclTieRandom and signcclMisfitKeep; docs/semantics.md says why.
 */
typedef struct {
  size_t size;      /**< sizeof(signcclSignConfig_t), set by the initializer */
  unsigned magic;   /**< set by the initializer */
  unsigned version; /**< set by the initializer */
  int zeroRule;     /**< a signcclZeroRule_t */
  int tieRule;      /**< a signcclTieRule_t; used by votes only */
  int misfitRule;   /**< a signcclMisfitRule_t; used by sums only */
  int reserved;     /**< leave it as the initializer sets it */
} signcclSignConfig_t;

#define SIGNCCL_SIGN_CONFIG_INITIALIZER                                                                      \
  {sizeof(signcclSignConfig_t), SIGNCCL_CONFIG_MAGIC,     SIGNCCL_VERSION_CODE,    SIGNCCL_CONFIG_UNDEF_INT, \
   SIGNCCL_CONFIG_UNDEF_INT,    SIGNCCL_CONFIG_UNDEF_INT, SIGNCCL_CONFIG_UNDEF_INT}

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_TYPES_H_ */
