/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SignCCL: steps of Distributed Lion (Liu et al. 2024, arXiv:2404.00438), each in one call and two passes over memory.
 *
 * A Lion object knows the parameters and momenta of one rank. In a step every rank forms the signs of
 *   u = b1 m + (1 - b1) g
 * from its own gradients g and momenta m, and its momenta become b2 m + (1 - b2) g. The signs are exchanged, as by
 * signcclAllReduceVote() or signcclAllReduceAvg(), and with the result D every rank's parameters become
 *   x - lr (D + decay x).
 * docs/semantics.md, "The Lion step", defines every rounding. Replicas that begin alike stay alike to the bit.
 *
 * The conventions of signccl.h hold. Beyond them:
 *   1. Parameters and momenta stay where they are, and belong to the library while a step is under way, as do gradients
 *      between signcclLionSubmit() and signcclLionFinish(). Nobody else may write them then.
 *   2. All ranks make the same steps, with the same tensors in the same order, the same buckets, and the same
 *      hyperparameters. Ranks that disagree all get signcclInvalidUsage and a message with both ranks and both values,
 *      and no parameter changes. Gradients may be missing on some ranks and not on others.
 *   3. Every step has one number among the calls of its communicator, which keys the ties of all its tensors by their
 *      place in the list. So the result does not depend on how a step is cut into buckets.
 *      signcclCommSetCallNumber() makes a resumed job go on to the bit.
 *   4. A step cannot be part of a group (signcclGroupStart()).
 *   5. One thread at a time may use a Lion object and its communicator.
 *
 * That is how it works for parameters and momenta in host memory. If all of them are in the memory of one CUDA device,
 * the object is *on a device*: gradients are in that memory too, and a step is carried out on a CUDA stream. Ranks on
 * devices and ranks in host memory can make steps together. On a device,
 *   6. functions enqueue kernels on the stream and return. Where this page says that something is updated or received,
 *      it has happened when the stream has come to the end of the step; until then the library uses the buffers.
 *   7. signcclLionSubmit() enqueues the kernels that encode, and signcclLionFinish() the wait for the results and the
 *      kernels that decode. Where several ranks are threads of one process, signcclLionFinish() waits until all of them
 *      have submitted the buckets. A thread that drives several ranks submits the buckets of all of them before it
 *      finishes the step of any.
 *   8. a function cannot say whether the step was skipped, since it returns before that is known: `skipped` receives
 *      -1. signcclLionStepConfig_t::deviceSkipped receives it on the stream.
 *   9. a failure can come after the functions have returned. signcclCommGetAsyncError() reports it, and so does the
 *      next call. All momenta of the buckets that were submitted have then taken their gradients, and some parameters
 *      may have changed; signcclLionGetChanged() names all tensors of those buckets. Signs are not kept, so
 *      signcclLionRetry() is refused with signcclInvalidUsage. To go on, synchronize the stream, give all ranks that
 *      are left the parameters of one of them, and make a Lion object with a new communicator: momenta are in order,
 *      and what is lost is the rest of that step.
 *  10. a step on a stream that is being captured becomes part of a CUDA graph, and every replay is a step with a number
 *      of its own, which docs/semantics.md gives. signcclLionBegin(), signcclLionSubmit() and signcclLionFinish() of a
 *      step belong into the same capture. Hyperparameters in host memory stay those of the capture; what the step reads
 *      from device memory is read in each replay, from the same addresses.
 */
#ifndef SIGNCCL_LION_H_
#define SIGNCCL_LION_H_

#include "signccl/signccl.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The parameters and momenta of one rank, and the step that is under way. */
typedef struct signcclLion* signcclLion_t;

/** What is done with the signs of all ranks. */
typedef enum {
  signcclLionVote = 0, /**< D is the majority sign */
  signcclLionAvg = 1   /**< D is the mean of the signs, rounded to float32 */
} signcclLionAggregation_t;

/** How parameters of type bfloat16 are rounded; all others are rounded to nearest, ties to even. */
typedef enum {
  signcclLionRoundNearest = 0,   /**< to nearest, ties to even: steps below half a unit in the last place are lost */
  signcclLionRoundStochastic = 1 /**< up or down at random, so that the mean is exact: by bits that `roundingSeed`, the
                                      number of the step and the place of the parameter give, the same on every rank */
} signcclLionRounding_t;

/**
 * What a Lion object is made of. Initialise it with SIGNCCL_LION_CONFIG_INITIALIZER, then set fields. The arrays are
 * copied; parameters and momenta are not. No two of those may overlap.
 *
 * Element types: signcclFloat32, signcclFloat16 or signcclBfloat16, for each tensor and each of its buffers apart.
 */
typedef struct {
  size_t size;               /**< sizeof(signcclLionConfig_t), set by the initializer */
  unsigned magic;            /**< set by the initializer */
  unsigned version;          /**< set by the initializer */
  size_t tensorCount;        /**< tensors, at least 1 */
  void* const* parameters;   /**< [tensorCount] [counts[i]] elements each */
  void* const* momenta;      /**< [tensorCount] [counts[i]] elements each; zeros at the beginning of a job */
  const size_t* counts;      /**< [tensorCount] elements; 0 is allowed, the tensor's addresses may then be NULL */
  const int* parameterTypes; /**< [tensorCount] signcclDataType_t, or NULL: all float32 */
  const int* momentumTypes;  /**< the same */
  const int* gradientTypes;  /**< the same */
  const int* groups;         /**< [tensorCount] which hyperparameters a tensor has, 0 to groupCount - 1; NULL: all 0 */
  int groupCount;            /**< sets of hyperparameters, at least 1; default 1 */
  int aggregation;           /**< a signcclLionAggregation_t; default signcclLionVote */
  int zeroRule;              /**< a signcclZeroRule_t; default signcclZeroBinary */
  int tieRule;               /**< a signcclTieRule_t, used by votes only; default signcclTieRandom */
  int rounding;              /**< a signcclLionRounding_t; default signcclLionRoundNearest */
  int reserved;              /**< leave it as the initializer sets it */
  uint64_t roundingSeed;     /**< for signcclLionRoundStochastic; default 0 */
} signcclLionConfig_t;

#define SIGNCCL_LION_CONFIG_INITIALIZER \
  {sizeof(signcclLionConfig_t),         \
   SIGNCCL_CONFIG_MAGIC,                \
   SIGNCCL_VERSION_CODE,                \
   0,                                   \
   NULL,                                \
   NULL,                                \
   NULL,                                \
   NULL,                                \
   NULL,                                \
   NULL,                                \
   NULL,                                \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   SIGNCCL_CONFIG_UNDEF_INT,            \
   0}

/**
 * What one step is made with. Initialise it with SIGNCCL_LION_STEP_INITIALIZER, then set fields. The arrays have
 * groupCount values each; those in host memory are copied.
 *
 * The fields from `stream` on are for objects on a device, see above. They are NULL for others.
 */
typedef struct {
  size_t size;                 /**< sizeof(signcclLionStepConfig_t), set by the initializer */
  unsigned magic;              /**< set by the initializer */
  unsigned version;            /**< set by the initializer */
  const double* learningRates; /**< finite, >= 0; not read, and may be NULL, with deviceLearningRates */
  const double* beta1s;        /**< 0 to 1; (1 - beta) is formed in double, and both are rounded to float32 */
  const double* beta2s;        /**< 0 to 1 */
  const double* weightDecays;  /**< finite, >= 0; not read, and may be NULL, with deviceWeightDecays */
  int skip;       /**< 1: no rank's parameters change in this step, e.g. since a gradient of this rank is infinite; this
                       rank's momenta do not change either, those of other ranks take their gradients. Default 0 */
  int background; /**< 1: a thread of the communicator carries the step out while the caller does something else; 0: it
                       progresses in signcclLionFinish() only. That thread needs a core beside the caller's, see
                       signcclAllReduceVoteAsync(). Default 0. Steps on a device always have that thread */
  signcclStream_t stream; /**< on which the step is carried out, of the object's device; default NULL, the legacy
                               default stream */
  const float* foundInf;  /**< device memory, 1 value, which the stream reads when it comes to the first bucket: unless
                               it is 0.0, this rank sets `skip`. As PyTorch's GradScaler has it. Default NULL: none */
  const float* deviceLearningRates; /**< device memory, [groupCount], which the stream reads when it comes to the first
                                         bucket. All ranks must use it, or none: the values are not compared, and they
                                         must be the same on all ranks. Default NULL: learningRates */
  const float* deviceWeightDecays;  /**< the same for the weight decay. Default NULL: weightDecays */
  int* deviceSkipped; /**< device memory, 1 value, which receives on the stream what `skipped` is for steps in host
                           memory, when the step is over; nothing that is of use after a failure. Default NULL */
} signcclLionStepConfig_t;

#define SIGNCCL_LION_STEP_INITIALIZER \
  {sizeof(signcclLionStepConfig_t),   \
   SIGNCCL_CONFIG_MAGIC,              \
   SIGNCCL_VERSION_CODE,              \
   NULL,                              \
   NULL,                              \
   NULL,                              \
   NULL,                              \
   SIGNCCL_CONFIG_UNDEF_INT,          \
   SIGNCCL_CONFIG_UNDEF_INT,          \
   NULL,                              \
   NULL,                              \
   NULL,                              \
   NULL,                              \
   NULL}

/**
 * Makes a Lion object. Talks to no other rank. The communicator must stay until signcclLionDestroy().
 *
 * Beside parameters and momenta it needs one bit per parameter, or two with signcclZeroTernary, for the signs of a
 * step. On a device it needs tables of the tensors instead; making them may wait until the device is idle.
 *
 * @param lion  receives the handle; left alone on failure
 * @return signcclInvalidArgument  a null pointer, a number out of range, an unknown type or rule, buffers that overlap
 *                                 or are in different memories
 *         signcclUnhandledCudaError, signcclInvalidUsage  on a device: as the first vote on it
 */
SIGNCCL_EXPORT signcclResult_t signcclLionCreate(signcclLion_t* lion, const signcclLionConfig_t* config,
                                                 signcclComm_t comm);

/**
 * Frees a Lion object. A step that is under way is waited for, at most the time of one operation (timeoutMs) for each
 * of its buckets; its result is lost, and so are the kept signs.
 */
SIGNCCL_EXPORT signcclResult_t signcclLionDestroy(signcclLion_t lion);

/**
 * A whole step of all tensors in one exchange: signcclLionBegin(), signcclLionSubmit() of all tensors, and
 * signcclLionFinish() without a limit. Returns when the parameters are updated.
 *
 * @param gradients  [tensorCount] [counts[i]] elements each; NULL counts as zeros
 * @param skipped    receives 1 if a rank has set `skip`, and no parameter of any rank has changed, else 0; -1 on a
 *                   device, where that is not known yet; may be NULL
 */
SIGNCCL_EXPORT signcclResult_t signcclLionStep(signcclLion_t lion, const signcclLionStepConfig_t* step,
                                               const void* const* gradients, int* skipped);

/**
 * Begins a step, which takes the next call number. The buckets must follow, on all ranks the same ones in the same
 * order, and signcclLionFinish().
 *
 * @return signcclInvalidArgument  a null array, a hyperparameter out of range; no step has begun
 *         signcclInvalidUsage     a step is under way, or the communicator is finalized
 */
SIGNCCL_EXPORT signcclResult_t signcclLionBegin(signcclLion_t lion, const signcclLionStepConfig_t* step);

/**
 * Adds tensors [first, first + n) to the step as one bucket: they are exchanged together. Returns at once. With
 * `background` the exchange goes on while the caller computes the gradients of the next bucket.
 *
 * @param gradients  [n], see signcclLionStep()
 * @return signcclInvalidArgument  no such tensors; the call had no effect
 *         signcclInvalidUsage     no step is under way, or one of the tensors is already in it; the call had no effect
 *         else the error of an earlier bucket; this one is not exchanged, but its momenta have taken the gradients
 */
SIGNCCL_EXPORT signcclResult_t signcclLionSubmit(signcclLion_t lion, size_t first, size_t n,
                                                 const void* const* gradients);

/**
 * Waits for the buckets of the step for at most `timeoutMs`, and ends it when all are complete. Tensors that were in no
 * bucket stay as they are.
 *
 * After an error the step is over. All buckets that were submitted have taken their gradients into the momenta, on this
 * rank; their signs are kept until the next signcclLionBegin(). Which parameters may have changed says
 * signcclLionGetChanged(). signcclLionRetry() exchanges the kept signs again.
 *
 * @param timeoutMs  the longest wait, >= 0, or -1: until the step is over. On a device nothing is waited for
 * @param done       receives 1 if the step is over, well or with an error, else 0
 * @param skipped    as in signcclLionStep()
 * @return signcclSuccess, also if the step goes on; else the error of the first bucket that failed, as that of
 *         signcclAllReduceVote()
 */
SIGNCCL_EXPORT signcclResult_t signcclLionFinish(signcclLion_t lion, int timeoutMs, int* done, int* skipped);

/**
 * Says which tensors' parameters the last step may have changed: after success all of its tensors, unless it was
 * skipped; after an error those whose result had come, which can differ from rank to rank. Their old values are gone.
 *
 * @param changed  [tensorCount] receives 1 or 0
 */
SIGNCCL_EXPORT signcclResult_t signcclLionGetChanged(signcclLion_t lion, unsigned char* changed);

/**
 * Makes the exchange of a failed step again with the signs that were kept, usually among the ranks that are left, and
 * from then on uses `comm`. The step keeps its number and its hyperparameters; the next call of `comm` has the number
 * after it. Momenta do not change. Returns when the parameters are updated.
 *
 * @param comm  whose ranks have all failed in this step, with the same buckets
 * @param areParametersRestored  1: the caller has given all parameters the values that they had before the step. With 0
 *              the call returns signcclInvalidUsage if the failed step may have changed any on this rank
 * @param skipped  as in signcclLionStep()
 * @return signcclInvalidUsage  the last step did not fail, or parameters have changed; else as signcclLionFinish(), and
 *         it can be called again
 */
SIGNCCL_EXPORT signcclResult_t signcclLionRetry(signcclLion_t lion, signcclComm_t comm, int areParametersRestored,
                                                int* skipped);

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_LION_H_ */
