/* SPDX-License-Identifier: Apache-2.0 */
/* Collectives, requests and groups. signccl/signccl.h has the conventions. */
#ifndef SIGNCCL_COLLECTIVES_H_
#define SIGNCCL_COLLECTIVES_H_

#include "signccl/comm.h"

#ifdef __cplusplus
extern "C" {
#endif

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
  int isWritten;      /**< 1: recvbuff holds the sums; 0: the values do not fit the zero rule, and recvbuff is what
                           config->misfitRule says. The same on every rank */
  int64_t firstIndex; /**< of the first element of this rank's own sendbuff that does not fit; -1 if all fit, or in
                           place with signcclMisfitDiscard */
  double firstValue;  /**< the value of that element, exactly; 0 if firstIndex is -1 */
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
 * The check costs no message: what was found travels with the messages of the sum. In host memory it costs no pass over
 * the elements either, which are checked as they are packed. All of them are packed before the first message is sent.
 * So the library keeps the packed vectors and the counts of the whole call in memory, some bits for each element.
 *
 * With config->misfitRule = signcclMisfitDiscard that holds for pieces of the vector, and not for all of it. If a value
 * does not fit, recvbuff may then hold sums in some places and its old content in others; in place, sendbuff is lost
 * with it. All ranks learn it as before. Ranks may set different rules, but if one in host memory discards, those whose
 * buffers are on a device must discard, too, or the communicator fails with signcclInvalidUsage.
 *
 * If a buffer is in the memory of a CUDA device, or if there is a stream, the call is one on a stream, as in
 * signcclAllReduceVote(); a kernel checks the elements first. `outcome` decides whether the host waits:
 *   - With an outcome the call returns when the outcome is known, for which the stream must come to the call and all
 *     ranks must take part. recvbuff holds the sums when the stream has come so far.
 *   - Without one the call enqueues and returns. Then values that do not fit make the communicator fail on all ranks:
 *     signcclCommGetAsyncError() gives signcclInvalidArgument, signcclGetLastError() names the rank, and recvbuff is
 *     undefined.
 * Ranks in host memory and ranks on devices take part in one call. Sums cannot be captured into CUDA graphs.
 *
 * In a group, each call has its own outcome; seven calls at most travel as one exchange.
 *
 * @param sendbuff  [count] elements, in host memory or in that of one CUDA device
 * @param recvbuff  [count] elements, the same; equal to sendbuff or disjoint from it
 * @param count     elements, the same on every rank; 0 is allowed, the buffers may then be NULL
 * @param datatype  of both buffers: int8 for at most 127 ranks, bfloat16 for 256, float16 for 2,048; float32 or float64
 * @param config    the zero rule, or NULL for signcclZeroBinary; read during this call only, in a group too
 * @param stream    as in signcclAllReduceVote()
 * @param outcome   receives what became of the call before it returns, and is left alone if it returns an error; in a
 *                  group it must stay until signcclGroupEnd(). NULL: values that do not fit are an error
 *
 * @return signcclSuccess          if `outcome` is given, also where the values do not fit
 *         signcclInvalidArgument  a null or partly overlapping buffer, an unknown type or rule, more ranks than the
 *                                 type has exact sums for; or, without `outcome` and in host memory, values that do
 *                                 not fit, on every rank. The call had no effect on any buffer, except that values
 *                                 that do not fit leave recvbuff as config->misfitRule says. Everything stays usable,
 *                                 unless a rank had its call on a stream without an outcome
 *         signcclInvalidUsage     also: the stream is being captured
 *         signcclTimeout          also: with an outcome, the stream did not come to the call before the deadline
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

#endif /* SIGNCCL_COLLECTIVES_H_ */
