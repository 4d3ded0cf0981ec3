/* SPDX-License-Identifier: Apache-2.0 */
/* Communicators: their errors, their life, and what can be asked of them. signccl/signccl.h has the conventions. */
#ifndef SIGNCCL_COMM_H_
#define SIGNCCL_COMM_H_

#include "signccl/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------- errors */

/** One rank's handle on a group of ranks. */
typedef struct signcclComm* signcclComm_t;

/** A fixed English sentence for a result code; never NULL. Owned by the library. Any thread. */
SIGNCCL_EXPORT const char* signcclGetErrorString(signcclResult_t result);

/**
 * What went wrong last, in words with the values that were given and what was expected.
 *
 * @param comm  the communicator to ask, or NULL for the last error of the calling thread in any call. A communicator
 *              that has failed says why, in any thread, also if no call has returned the error yet
 * @return the text, empty if there was no error. Owned by the library; valid until the calling thread calls
 *         signcclGetLastError() again.
 */
SIGNCCL_EXPORT const char* signcclGetLastError(signcclComm_t comm);

/** Gives SIGNCCL_VERSION_CODE of the loaded library, which may differ from the header's. */
SIGNCCL_EXPORT signcclResult_t signcclGetVersion(int* version);

/* -------------------------------------------------------------------------------- life of a communicator */

#define SIGNCCL_UNIQUE_ID_BYTES 128

/** What brings the ranks of a communicator together: opaque, passed by value, given by one rank to the others. */
typedef struct {
  char internal[SIGNCCL_UNIQUE_ID_BYTES];
} signcclUniqueId;

/** A non-blocking collective that is under way. */
typedef struct signcclRequest* signcclRequest_t;

/** A CUDA stream (cudaStream_t), without the need for a CUDA header. */
typedef struct CUstream_st* signcclStream_t;

/** A communicator of NCCL (ncclComm_t), without the need for NCCL's header. */
struct ncclComm;

/**
 * The caller's own way to reach the ranks, e.g. MPI_Allgather or a key-value store: gathers `bytes` bytes of each rank
 * in rank order into `recvbuff` on every rank, and returns 0 if that went well.
 */
typedef int (*signcclAllGatherFn)(const void* sendbuff, void* recvbuff, size_t bytes, void* context);

/**
 * Settings of one communicator. Initialise it with SIGNCCL_CONFIG_INITIALIZER, then set fields. The environment
 * variable named at a field, or the same name in a config file, wins over the field.
 */
typedef struct {
  size_t size;      /**< sizeof(signcclConfig_t), set by the initializer */
  unsigned magic;   /**< set by the initializer */
  unsigned version; /**< set by the initializer */
  int nThreads;     /**< SIGNCCL_NTHREADS: threads that run kernels for this rank, the caller's included, 1 to 1024;
                         default: the cores of the machine shared among its ranks */
  int timeoutMs;    /**< SIGNCCL_TIMEOUT (there in seconds): longest time of one operation, >= 1; default 600,000 */
  const char* algorithm; /**< SIGNCCL_ALGO: oneshot, direct, ring, tree, knomial or hierarchical; NULL: the cost model
                              chooses by size. The same on every rank. Copied. */
  const char* commName;  /**< a name for logs and traces, or NULL. Copied. */
  signcclAllGatherFn allGather; /**< if not NULL, called once during the initialisation, in the calling thread and with
                                     `allGatherContext`, to let the ranks find each other; commId is then not read
                                     and may hold anything */
  void* allGatherContext;       /**< passed to allGather */
  struct ncclComm* ncclComm;    /**< SIGNCCL_TRANSPORT: if not NULL, NCCL carries the votes of device buffers, over a
                                     communicator that is split from this one (ncclCommSplit) with resources of its
                                     own, in the first call on device buffers. Of the same ranks with the same numbers
                                     and devices, on every rank or on none. It must live until that call has returned,
                                     during which nobody else uses it; the call is a collective on it */
} signcclConfig_t;

#define SIGNCCL_CONFIG_INITIALIZER \
  {sizeof(signcclConfig_t),        \
   SIGNCCL_CONFIG_MAGIC,           \
   SIGNCCL_VERSION_CODE,           \
   SIGNCCL_CONFIG_UNDEF_INT,       \
   SIGNCCL_CONFIG_UNDEF_INT,       \
   NULL,                           \
   NULL,                           \
   NULL,                           \
   NULL,                           \
   NULL}

/**
 * Makes a new unique id and starts to listen for the ranks that will use it. One process calls it, gives the id to all
 * ranks and stays alive as long as the communicator does; usually it is that of rank 0. With SIGNCCL_COMM_ID set, every
 * rank calls it itself and gets the same id, and nothing has to be passed around.
 *
 * The process listens until all ranks have joined. If no rank has come after the time of SIGNCCL_TIMEOUT (10 minutes
 * by default), it stops: ranks that come later find nobody.
 *
 * The id holds a random secret; a process that does not know it cannot join or disturb the ranks that do.
 */
SIGNCCL_EXPORT signcclResult_t signcclGetUniqueId(signcclUniqueId* uniqueId);

/**
 * Joins a communicator of `nranks` ranks as `rank` and returns when all have joined. The ranks may be threads of one
 * process, processes of one host, or processes of several. Each rank calls it in a thread of its own, or one thread
 * calls it for several ranks between signcclGroupStart() and signcclGroupEnd().
 *
 * @param comm    receives the handle; left alone on failure
 * @param nranks  1 to 32,767
 * @param rank    0 to nranks - 1, each taken once
 * @return signcclInvalidArgument  a null pointer, a number out of range, an id that no signcclGetUniqueId() made
 *         signcclInvalidUsage     a rank joined twice, with another nranks, other settings or another version of
 *                                 SignCCL, or a bad setting
 *         signcclRemoteError      a rank died while the others waited for more, or nobody listens for this id any
 *                                 more
 *         signcclTimeout          not all ranks joined before the deadline; the message names the missing ones
 */
SIGNCCL_EXPORT signcclResult_t signcclCommInitRank(signcclComm_t* comm, int nranks, signcclUniqueId commId, int rank);

/** signcclCommInitRank() with settings; `config` NULL means all defaults. */
SIGNCCL_EXPORT signcclResult_t signcclCommInitRankConfig(signcclComm_t* comm, int nranks, signcclUniqueId commId,
                                                         int rank, const signcclConfig_t* config);

/**
 * Makes all `nranks` communicators of a group in this process, for ranks that are threads of it.
 *
 * @param comms    [nranks] handles, comms[i] for rank i
 * @param devlist  must be NULL: a call is made on the device of its buffers
 */
SIGNCCL_EXPORT signcclResult_t signcclCommInitAll(signcclComm_t* comms, int nranks, const int* devlist);

/** Pass as color to signcclCommSplit() to be in no new communicator. */
#define SIGNCCL_SPLIT_NOCOLOR (-1)

/**
 * Splits a communicator: ranks with equal `color` form a new one, ordered by `key`, then by old rank. All ranks of
 * `comm` call it, with no collective outstanding.
 *
 * @param color    >= 0, or SIGNCCL_SPLIT_NOCOLOR, for which *newcomm becomes NULL
 * @param config   settings of the new communicator, NULL for those of `comm`
 */
SIGNCCL_EXPORT signcclResult_t signcclCommSplit(signcclComm_t comm, int color, int key, signcclComm_t* newcomm,
                                                const signcclConfig_t* config);

/** Most bytes that signcclCommAllGather() gathers, of all ranks together: 32 MiB. */
#define SIGNCCL_ALL_GATHER_MAX_BYTES ((size_t)32 << 20)

/**
 * Gathers `bytes` bytes of each rank in rank order into recvbuff on every rank, and returns when recvbuff is full.
 * Meant for small data: unique ids, measured times, checksums, settings to compare. It travels over the connections by
 * which the ranks found each other, all of it through the process that made the unique id.
 *
 * All ranks call it with the same `bytes`, and in the same order among all-gathers and splits. Non-blocking collectives
 * may be outstanding; they are neither waited for nor held up. Each rank calls it in a thread of its own. It takes at
 * most the time of one operation (timeoutMs).
 *
 * @param sendbuff  [bytes] host memory; recvbuff + rank * bytes, or disjoint from recvbuff
 * @param recvbuff  [nranks][bytes] host memory
 * @param bytes     the same on every rank, at most SIGNCCL_ALL_GATHER_MAX_BYTES / nranks; with 0 the call is a barrier,
 *                  and the buffers may be NULL
 *
 * @return signcclInvalidArgument  a null or partly overlapping buffer, or too many bytes; the call had no effect
 *         signcclInvalidUsage     called inside a group (no effect); or the ranks disagree in `bytes`, or one splits
 *                                 where another gathers, and the message names both
 *         signcclRemoteError      a rank failed, aborted or was destroyed; the message names it
 *         signcclTimeout          not all ranks called it before the deadline; the message names the missing ones
 */
SIGNCCL_EXPORT signcclResult_t signcclCommAllGather(const void* sendbuff, void* recvbuff, size_t bytes,
                                                    signcclComm_t comm);

/** Gives the number of ranks. */
SIGNCCL_EXPORT signcclResult_t signcclCommCount(signcclComm_t comm, int* count);

/** Gives the rank of this handle, 0 to count - 1. */
SIGNCCL_EXPORT signcclResult_t signcclCommUserRank(signcclComm_t comm, int* rank);

/**
 * Waits until all collectives that this rank issued are complete. Afterwards only signcclCommDestroy() and
 * the queries are allowed. Returns signcclInvalidUsage, and does nothing, while an open group holds collectives of it.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommFinalize(signcclComm_t comm);

/**
 * Finalizes if that was not done and frees the handle, whatever state it is in, unless an open group holds
 * collectives of a communicator that has not failed: that returns signcclInvalidUsage. Ranks that still wait for this
 * one in a collective get signcclRemoteError. Outstanding requests complete first and stay valid until they are waited
 * for.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommDestroy(signcclComm_t comm);

/**
 * Stops the communicator at once: calls under way on this handle, in any thread, and on all other ranks return
 * signcclRemoteError with a message that names this rank. May be called from any thread. Waits for no collective, but
 * until the other ranks have been told, for a second at most: the program may end right afterwards. The handle stays
 * valid for queries and for signcclCommDestroy(), which is still needed to free it.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommAbort(signcclComm_t comm);

/** Most bytes of a reason that signcclCommAbortWithReason() tells the other ranks. */
#define SIGNCCL_ABORT_REASON_MAX_BYTES ((size_t)2000)

/**
 * signcclCommAbort() that says why: the message on all ranks ends with the reason. For a rank that cannot take part in
 * a collective that the others have called or will call, e.g. since the caller refuses its own arguments.
 *
 * @param reason  UTF-8, of which at most SIGNCCL_ABORT_REASON_MAX_BYTES are told; NULL or empty: no reason. Copied.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommAbortWithReason(signcclComm_t comm, const char* reason);

/**
 * State of the communicator: signcclSuccess, signcclInProgress while non-blocking collectives or calls on streams are
 * under way, or the error that made it unusable. A call on a stream is under way for a moment longer than the stream
 * waits for it.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommGetAsyncError(signcclComm_t comm, signcclResult_t* asyncError);

/**
 * Gives the number of the next collective of this rank. The first of a communicator has number 0, and every collective
 * counts one, each call of a group too, in the order of the calls. Numbers key the ties of signcclTieRandom.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommGetCallNumber(signcclComm_t comm, uint64_t* callNumber);

/**
 * Sets the number of the next collective, so that a job that was saved and resumed goes on to the bit as if it had not
 * stopped. All ranks must set the same number: ranks whose numbers differ get signcclInvalidUsage at the next
 * collective.
 */
SIGNCCL_EXPORT signcclResult_t signcclCommSetCallNumber(signcclComm_t comm, uint64_t callNumber);

/**
 * Counters of one rank since it joined. Set `size` to sizeof(signcclCommStats_t) before the call, and the other fields
 * to 0 if the library may be older than this header: it does not write fields that it does not know.
 */
typedef struct {
  size_t size;               /**< in: sizeof(signcclCommStats_t) */
  uint64_t collectives;      /**< completed collectives, each call of a group counted */
  uint64_t exchanges;        /**< completed exchanges; the calls of a group share one */
  uint64_t bytesSent;        /**< payload handed to the transport, or to NCCL */
  uint64_t bytesReceived;    /**< payload received from it */
  uint64_t messagesSent;     /**< messages handed to the transport */
  uint64_t messagesReceived; /**< messages received from it */
  uint64_t scratchBytes;     /**< memory held for exchanges, on the host and on devices */
  const char* algorithm;     /**< algorithm of the last exchange, "none" before the first; owned by the library */
  const char* kernels;       /**< kernels in use: scalar, avx2, avx512 or neon; owned by the library */
} signcclCommStats_t;

/** Gives the counters of this rank. To be called while no collective of this handle is under way. */
SIGNCCL_EXPORT signcclResult_t signcclCommGetStats(signcclComm_t comm, signcclCommStats_t* stats);

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_COMM_H_ */
