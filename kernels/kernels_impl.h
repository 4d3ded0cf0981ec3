// SPDX-License-Identifier: Apache-2.0
// Makes the `Kernels` of an instruction set from its `Isa`: a type with the vector word and the few operations that the
// *_impl.h headers ask for. An `Isa` is declared in an unnamed namespace, so that every template instantiated with
// it is local to its file: the linker can never give code compiled for one instruction set to another.
// For the same reason these headers and kernels/cpu/ use no standard library beyond <stddef.h> and <stdint.h>.
#ifndef SIGNCCL_KERNELS_KERNELS_IMPL_H_
#define SIGNCCL_KERNELS_KERNELS_IMPL_H_

#include "kernels/count_impl.h"
#include "kernels/counters_impl.h"
#include "kernels/decode_avg_impl.h"
#include "kernels/decode_vote_impl.h"
#include "kernels/encode_impl.h"
#include "kernels/encode_sum_impl.h"
#include "kernels/kernels.h"
#include "kernels/lion_decode_impl.h"
#include "kernels/lion_encode_impl.h"

namespace signccl {

template <typename Isa>
constexpr Kernels makeKernels(const char* name, bool (*supported)()) noexcept {
  return {name,
          supported,
          encodeBinary<Isa>,
          encodeTernary<Isa>,
          encodeSumBinary<Isa>,
          encodeSumTernary<Isa>,
          count<Isa>,
          merge<Isa>,
          clamp<Isa>,
          decide<Isa>,
          restoreTop<Isa>,
          decodeVote<Isa>,
          decodeAvg<Isa>,
          encodeLion<Isa>,
          decodeVoteLion<Isa>,
          decodeAvgLion<Isa>};
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_KERNELS_IMPL_H_
