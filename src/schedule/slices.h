// SPDX-License-Identifier: Apache-2.0
// How many slices a vector is cut into, for the executor and the cost model. A function of values that are identical on
// all ranks, because all ranks must cut identically.
#ifndef SIGNCCL_SCHEDULE_SLICES_H_
#define SIGNCCL_SCHEDULE_SLICES_H_

#include <cstddef>

#include "schedule/width.h"

namespace signccl {

/// Default upper limit for the words per plane of a slice. Chosen so that messages, one per chunk, are about 32 KiB:
/// from 64 KiB on UCX uses its rendezvous protocol over tcp. Always between 64 KiB and 1 MiB per plane, because a rank
/// holds several slices at a time.
std::size_t defaultSliceWords(const CountRules& rules);

/// Number of slices of a vector of `nwords` words, at least 1. A slice has at most `slice_words` words, or the default
/// limit if that is 0. There are at least four slices, so that stations overlap and threads share the work, unless
/// slices or chunks would become tiny.
std::size_t sliceCount(std::size_t nwords, std::size_t slice_words, const CountRules& rules);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_SLICES_H_
