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
  uint64_t scratchBytes;     /**< memory held for exchanges */
  const char* algorithm;     /**< algorithm of the last exchange, "none" before the first; owned by the library */
  const char* kernels;       /**< kernels in use: scalar, avx2, avx512 or neon; owned by the library */
} signcclCommStats_t;

/** Gives the counters of this rank. To be called while no collective of this handle is under way. */
SIGNCCL_EXPORT signcclResult_t signcclCommGetStats(signcclComm_t comm, signcclCommStats_t* stats);

/* ------------------------------------------------------------------------------------------- collectives */

/**
 * Majority vote of signs. With s_r the sign of rank r's sendbuff[i] under config->zeroRule, every rank gets
 *   recvbuff[i] = sign(s_0 + ... + s_{nranks-1}), a sum of 0 resolved by config->tieRule,
 * as +1, -1 or 0 in `recvtype`. Returns when recvbuff holds the result. Progresses in the caller's thread.
 *
 * If a buffer is in the memory of a CUDA device, or if there is a stream, the call is one on a stream: it enqueues
 * kernels and returns, as in NCCL. recvbuff holds the result when the stream has come so far, and buffers stay as they
 * are until then. After a failure the stream goes on, recvbuff is undefined, and signcclCommGetAsyncError() says so.
 * On a stream that is being captured, the call enters the CUDA graph; all ranks must capture it (docs/cuda.md).
 * Ranks may have their buffers in different places. Ranks that are threads of one process wait for each other in the
 * call. docs/cuda.md has the rest.
 *
 * @param sendbuff  [count] elements of `sendtype`, in host memory or in that of one CUDA device
 * @param recvbuff  [count] elements of `recvtype`, the same; equal to sendbuff or disjoint from it
 * @param count     elements, the same on every rank; 0 is allowed, the buffers may then be NULL
 * @param sendtype  float32, float16, bfloat16, float64, int8 or bits
 * @param recvtype  the same; bits not with signcclTieZero
 * @param config    rules, or NULL for the defaults; read during this call only, in a group too
 * @param stream    NULL for buffers in host memory. With a stream, host buffers must be pinned (cudaMallocHost()); a
 *                  NULL stream with device buffers is the legacy default stream
 *
 * @return signcclInvalidArgument  a null or partly overlapping buffer, an unknown type or rule, a count whose bytes
 *                                 overflow size_t, a buffer that is not where it must be; the call had no effect
 *         signcclUnhandledCudaError  a call of CUDA failed; so has the communicator
 *         signcclInvalidUsage     the ranks disagree
 *         signcclRemoteError      a rank failed, aborted or was destroyed
 *         signcclTimeout          the operation did not end before its deadline; the message names the ranks it
 *                                 waited for
 *
 * Source: Distributed Lion, Liu et al. 2024, arXiv:2404.00438, algorithm 1 (majority vote).
 */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceVote(const void* sendbuff, void* recvbuff, size_t count,
                                                    signcclDataType_t sendtype, signcclDataType_t recvtype,
                                                    const signcclSignConfig_t* config, signcclComm_t comm,
                                                    signcclStream_t stream);

/**
 * Mean of signs. With s_r as in signcclAllReduceVote(), every rank gets
 *   recvbuff[i] = (s_0 + ... + s_{nranks-1}) / nranks, correctly rounded to a floating-point `recvtype`,
 * or the sum itself for int8, int16 and int32. Everything else is as in signcclAllReduceVote().
 *
 * @param recvtype  float32, float16, bfloat16, float64; int8, int16 or int32 for the sum, in which nranks must fit
 *
 * Source: Distributed Lion, Liu et al. 2024, arXiv:2404.00438, algorithm 1 (averaging).
 */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceAvg(const void* sendbuff, void* recvbuff, size_t count,
                                                   signcclDataType_t sendtype, signcclDataType_t recvtype,
                                                   const signcclSignConfig_t* config, signcclComm_t comm,
                                                   signcclStream_t stream);

/**
 * What became of a signcclAllReduceSum(). Initialise it with SIGNCCL_SUM_OUTCOME_INITIALIZER; the library writes the
 * fields that it knows.
 */
typedef struct {
  size_t size;        /**< in: sizeof(signcclSumOutcome_t), set by the initializer */
  int values;         /**< a signcclValues_t, the same on every rank: what the sendbuffs of all ranks hold */
  int isWritten;      /**< 1: recvbuff holds the sums; 0: the values do not fit the zero rule, and no rank has written
                           its recvbuff. The same on every rank */
  int64_t firstIndex; /**< of the first element of this rank's own sendbuff that does not fit; -1 if all fit */
  double firstValue;  /**< the value of that element, exactly; 0 if all fit */
} signcclSumOutcome_t;

#define SIGNCCL_SUM_OUTCOME_INITIALIZER {sizeof(signcclSumOutcome_t), 0, 0, 0, 0}

/**
 * Sum of values that are signs. For vectors that hold -1 and +1, or also 0, it gives the same bits as a sum of
 * ncclAllReduce() or MPI_Allreduce(), and sends 1 or 2 bits of each element instead of all. Every rank gets
 *   recvbuff[i] = x_0 + ... + x_{nranks-1}, with x_r the value of rank r's sendbuff[i],
 * exactly, in the type of the input.
 *
 * The zero rule says which values fit: -1 and +1 with signcclZeroBinary, the default; also +0 with signcclZeroTernary.
 * Values are compared bit by bit. So -0 does not fit, since the sum of -0 on all ranks would be -0.
 *
 * If a value of any rank does not fit, no rank writes its recvbuff, also where that is its sendbuff, and all ranks
 * learn it in the same call. The communicator stays usable. The caller can make the call again with signcclZeroTernary
 * if `outcome->values` is signcclValuesZeros, or sum in another way.
 *
 * The check costs neither a pass over memory nor a message: values are checked as they are packed, and what was found
 * travels with the messages of the sum. All elements are packed before the first message is sent. So the library keeps
 * the packed vectors and the counts of the whole call in memory, some bits for each element.
 *
 * In a group, each call has its own outcome; seven calls at most travel as one exchange.
 *
 * @param sendbuff  [count] elements in host memory
 * @param recvbuff  [count] elements in host memory; equal to sendbuff or disjoint from it
 * @param count     elements, the same on every rank; 0 is allowed, the buffers may then be NULL
 * @param datatype  of both buffers: int8 for at most 127 ranks, bfloat16 for 256, float16 for 2,048; float32 or float64
 * @param config    the zero rule, or NULL for signcclZeroBinary; read during this call only, in a group too
 * @param stream    NULL: buffers in device memory and calls on streams are refused with signcclInvalidArgument
 * @param outcome   receives what became of the call when it is complete, and is left alone if it returns an error; in a
 *                  group it must stay until signcclGroupEnd(). NULL: values that do not fit are an error
 *
 * @return signcclSuccess          if `outcome` is given, also where the values do not fit
 *         signcclInvalidArgument  a null or partly overlapping buffer, an unknown type or rule, more ranks than the
 *                                 type has exact sums for; or, without `outcome`, values that do not fit, on every
 *                                 rank. The call had no effect on any buffer, and everything stays usable
 *         else as signcclAllReduceVote()
 */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceSum(const void* sendbuff, void* recvbuff, size_t count,
                                                   signcclDataType_t datatype, const signcclSignConfig_t* config,
                                                   signcclComm_t comm, signcclStream_t stream,
                                                   signcclSumOutcome_t* outcome);

/**
 * Non-blocking signcclAllReduceVote(): returns once the work is queued. A thread of the communicator progresses
 * it; collectives of one communicator, blocking and non-blocking ones, may be mixed and are carried out in the order of
 * their calls. The buffers belong to the library until the request is complete. For host memory; a call on a stream
 * needs no request.
 *
 * That thread needs a core beside the caller's. Where each rank has one core, as mpirun gives it, a call takes as long
 * as a blocking one, and the log has a warning (SIGNCCL_DEBUG=WARN): start ranks with `mpirun --bind-to none` or
 * `--map-by slot:PE=2`. Calls that are made at the same time belong in one group, which is one exchange.
 *
 * @param stream   NULL
 * @param request  receives the request, to be given to signcclRequestTest() or signcclRequestWait(). In a group it is
 *                 set at once, and can be waited for after signcclGroupEnd()
 */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceVoteAsync(const void* sendbuff, void* recvbuff, size_t count,
                                                         signcclDataType_t sendtype, signcclDataType_t recvtype,
                                                         const signcclSignConfig_t* config, signcclComm_t comm,
                                                         signcclStream_t stream, signcclRequest_t* request);

/** Non-blocking signcclAllReduceAvg(); see signcclAllReduceVoteAsync(). */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceAvgAsync(const void* sendbuff, void* recvbuff, size_t count,
                                                        signcclDataType_t sendtype, signcclDataType_t recvtype,
                                                        const signcclSignConfig_t* config, signcclComm_t comm,
                                                        signcclStream_t stream, signcclRequest_t* request);

/**
 * Non-blocking signcclAllReduceSum(); see signcclAllReduceVoteAsync(). `outcome` must stay until the request is
 * complete: the function that says so writes it. If `outcome` is NULL, that function returns the error of values that
 * do not fit.
 */
SIGNCCL_EXPORT signcclResult_t signcclAllReduceSumAsync(const void* sendbuff, void* recvbuff, size_t count,
                                                        signcclDataType_t datatype, const signcclSignConfig_t* config,
                                                        signcclComm_t comm, signcclStream_t stream,
                                                        signcclSumOutcome_t* outcome, signcclRequest_t* request);

/**
 * Asks without blocking whether a collective is complete.
 *
 * @param request  *request becomes NULL and is freed once *done is 1
 * @param done     1 if it is complete, well or with an error, else 0
 * @return the result of the collective if it is complete, else signcclSuccess
 */
SIGNCCL_EXPORT signcclResult_t signcclRequestTest(signcclRequest_t* request, int* done);

/** Waits until a collective is complete, frees the request, sets *request to NULL and returns its result. */
SIGNCCL_EXPORT signcclResult_t signcclRequestWait(signcclRequest_t* request);

/**
 * signcclRequestWait() for several requests, of any communicators. Waits for all of them, even if one of them fails.
 * Entries that are NULL are skipped, as MPI_Waitall() skips MPI_REQUEST_NULL.
 *
 * @param n         number of entries; 0 is allowed
 * @param requests  [n] entries become NULL as their collectives complete, well or with an error; what is no valid
 *                  request, or belongs to a group that has not ended, stays
 * @return signcclSuccess, else the first error in the order of the entries
 */
SIGNCCL_EXPORT signcclResult_t signcclRequestWaitAll(size_t n, signcclRequest_t* requests);

/**
 * signcclRequestWait() for a limited time, for callers that have something to look after meanwhile, such as signals.
 *
 * @param timeoutMs  the longest wait, >= 0
 * @param done       1 if the collective is complete, well or with an error, and *request is NULL then; 0 if it goes on
 * @return the result of the collective if it is complete, else signcclSuccess
 */
SIGNCCL_EXPORT signcclResult_t signcclRequestWaitFor(signcclRequest_t* request, int timeoutMs, int* done);

/* ------------------------------------------------------------------------------------------------ groups */

/**
 * Opens a group in the calling thread. Until signcclGroupEnd(), collectives and signcclCommInitRank() are only noted:
 *   - collectives of one communicator with the same operation and rules travel as one exchange, which saves a
 *     round of messages per buffer; their types and counts may differ;
 *   - one thread may call them for several ranks of this process, which otherwise would wait for each other.
 * Arguments are checked at once. Groups may be nested; only the outermost end does the work. A group holds
 * either collectives or initialisations. signcclGroupEnd() must follow in any case, also after a call that failed.
 */
SIGNCCL_EXPORT signcclResult_t signcclGroupStart(void);

/**
 * Carries out the group: returns when its blocking calls are complete and its non-blocking ones are queued. If a call
 * in the group failed when it was made, nothing is carried out, and the requests of the group report that error.
 *
 * @return the error of the first call that failed when it was made, else the first error of the work;
 *         signcclInvalidUsage without signcclGroupStart()
 */
SIGNCCL_EXPORT signcclResult_t signcclGroupEnd(void);

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_SIGNCCL_H_ */
