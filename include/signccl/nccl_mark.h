/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks all-reduces of NCCL for SignCCL's stand-in, so that a rule with "marked": true takes them over
 * (docs/preload.md).
 *
 * NCCL 2.32 and newer give each call a configuration with a list of options of other vendors, which NCCL ignores. So a
 * marked call is an ordinary one where the stand-in is not preloaded, and needs neither SignCCL's library nor another
 * call:
 *
 *   #include <nccl.h>
 *   #include <signccl/nccl_mark.h>
 *
 *   signcclNcclMark_t mark;
 *   ncclCollConfig_t config = NCCL_COLLCONFIG_INITIALIZER;
 *   signcclNcclMark(&config, &mark, "vote", "random");
 *   ncclAllReduceConfig(signs, signs, count, ncclFloat32, ncclSum, comm, stream, &config);
 *
 * A mark alone changes nothing: there must be a rule with the same action that the call matches. Where the two differ,
 * the call is forwarded. All ranks must mark the same calls alike; nobody checks that. Include nccl.h first; without
 * it, or with an older one, there are the numbers alone.
 */
#ifndef SIGNCCL_NCCL_MARK_H_
#define SIGNCCL_NCCL_MARK_H_

/** ncclConfigExt_t.key.vendorId of SignCCL's options. */
#define SIGNCCL_NCCL_VENDOR 0x5167cc

/** ncclConfigExt_t.key.optionId, each with a string in `val.s`. */
enum {
  SIGNCCL_NCCL_ACTION = 1, /**< forward, sign_sum, vote or avg: what this call is to be, if a rule says the same */
  SIGNCCL_NCCL_TIE = 2     /**< zero, positive, negative or random: for votes, in place of the rule's */
};

#ifdef NCCL_COLLCONFIG_INITIALIZER

#include <stddef.h>

/** What a mark needs in the caller's memory: until the call returns, or in a group until ncclGroupEnd() does. */
typedef struct {
  ncclConfigExt_t action;
  ncclConfigExt_t tie;
} signcclNcclMark_t;

/**
 * Puts a mark in front of the options that a configuration has. To be called once for each configuration: a second mark
 * would be a second option with the same key, which NCCL forbids.
 *
 * @param config  an initialised configuration; points to `mark` afterwards
 * @param mark    memory for the mark; overwritten
 * @param action  as of SIGNCCL_NCCL_ACTION; a literal, or another string that lives as long as `mark`
 * @param tie     as of SIGNCCL_NCCL_TIE, or NULL for that of the rule
 */
static inline void signcclNcclMark(ncclCollConfig_t* config, signcclNcclMark_t* mark, const char* action,
                                   const char* tie) {
  mark->action.key.vendorId = SIGNCCL_NCCL_VENDOR;
  mark->action.key.optionId = SIGNCCL_NCCL_ACTION;
  mark->action.val.s = action;
  mark->action.next = config->ext;
  mark->tie.key.vendorId = SIGNCCL_NCCL_VENDOR;
  mark->tie.key.optionId = SIGNCCL_NCCL_TIE;
  mark->tie.val.s = tie;
  mark->tie.next = config->ext;
  if (tie != NULL) mark->action.next = &mark->tie;
  config->ext = &mark->action;
}

#endif /* NCCL_COLLCONFIG_INITIALIZER */

#endif /* SIGNCCL_NCCL_MARK_H_ */
