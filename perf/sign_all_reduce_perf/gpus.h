// SPDX-License-Identifier: Apache-2.0
// Which rank has which GPU.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_GPUS_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_GPUS_H_

#include <vector>

#include "launch/job_comm.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/options.h"

namespace signccl::perf {

/// Which of a machine's `ngpus` GPUs its rank number `rank`, of `nranks`, has: the one with the rank's number, or with
/// options.oversubscribe that number modulo ngpus. Throws OptionError, with both numbers, if there are too few GPUs.
int gpuOfRank(const Options& options, int rank, int nranks, int ngpus);

/// Gives every rank of all processes a GPU: sets Host::gpus. Every process calls it. Does nothing if buffers are in
/// host memory. Throws OptionError.
void assignGpus(const Options& options, std::vector<Host>& hosts, launch::JobComm& job);

/// Lowers options.max_bytes to what fits into the memory of the GPUs of this process, `mine`. Throws OptionError.
void fitIntoGpus(Options& options, const std::vector<Host>& hosts, const Host& mine);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_GPUS_H_
