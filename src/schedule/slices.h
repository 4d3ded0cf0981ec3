// Into how many slices a vector is cut: the one definition, for the executor and the cost model. It depends on nothing
// in which ranks may differ, since all must cut alike.
#ifndef SIGNCCL_SCHEDULE_SLICES_H_
#define SIGNCCL_SCHEDULE_SLICES_H_

#include <cstddef>

#include "schedule/width.h"

namespace signccl {

/// Most words of a plane of a slice where nobody says otherwise: such that messages have about 32 KiB, since each chunk
/// is a message and UCX turns to its rendezvous at 64 KiB over tcp; but slices from 64 KiB to 1 MiB a plane, since
/// ranks hold several of them at a time.
std::size_t defaultSliceWords(const CountRules& rules);

/// Slices of a vector of `nwords` words, at least 1: of `slice_words` at most, 0 standing for the default; and at least
/// four, so that stations overlap and threads share the work, unless slices or chunks would become tiny.
std::size_t sliceCount(std::size_t nwords, std::size_t slice_words, const CountRules& rules);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_SLICES_H_
