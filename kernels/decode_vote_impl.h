// SPDX-License-Identifier: Apache-2.0
// Vote planes -> elements, for every instruction set. An `Isa` gives
//   expand<kZeros, kStream>(plus, zero, SignValues<Bits>, out): kWordBits elements of Bits; plus and zero have no
//     common bit, zero is not looked at unless kZeros; out is aligned to kOutputAlignment if kStream.
#ifndef SIGNCCL_KERNELS_DECODE_VOTE_IMPL_H_
#define SIGNCCL_KERNELS_DECODE_VOTE_IMPL_H_

#include "kernels/bits_impl.h"
#include "kernels/decode_impl.h"
#include "kernels/formats.h"
#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {

template <typename Isa, typename Format, bool kZeros>
struct VoteDecoder {
  const Word* positive;
  const Word* nonnegative;

  template <bool kStream>
  SIGNCCL_WORD_OP void block(size_t first, size_t nbits, unsigned char* out) const {
    const Word plus = bitsAt(positive, first, nbits);
    Word zero = 0;
    if constexpr (kZeros) zero = bitsAt(nonnegative, first, nbits) & ~plus;
    Isa::template expand<kZeros, kStream>(plus, zero, Format::kSigns, out);
  }
};

/// The planes and the output of one call.
struct VoteOutput {
  const Word* positive;
  const Word* nonnegative;
  size_t count;
  void* elements;
  Store store;
};

template <typename Isa, typename Format>
void decodeVoteElements(const VoteOutput& vote) {
  constexpr size_t kElementBytes = sizeof(typename Format::Bits);
  if (vote.nonnegative == nullptr) {
    const VoteDecoder<Isa, Format, false> decoder{vote.positive, nullptr};
    decodeElements<Isa, kElementBytes>(decoder, vote.count, vote.elements, vote.store);
  } else {
    const VoteDecoder<Isa, Format, true> decoder{vote.positive, vote.nonnegative};
    decodeElements<Isa, kElementBytes>(decoder, vote.count, vote.elements, vote.store);
  }
}

template <typename Isa>
void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements,
                Store store) {
  const VoteOutput vote{positive, nonnegative, count, elements, store};
  switch (type) {
    case ElementType::kFloat32:
      return decodeVoteElements<Isa, Float32Format>(vote);
    case ElementType::kFloat16:
      return decodeVoteElements<Isa, Float16Format>(vote);
    case ElementType::kBFloat16:
      return decodeVoteElements<Isa, BFloat16Format>(vote);
    case ElementType::kFloat64:
      return decodeVoteElements<Isa, Float64Format>(vote);
    case ElementType::kInt8:
      return decodeVoteElements<Isa, Int8Format>(vote);
    case ElementType::kBits:
      return copyBits<Isa>(positive, count, elements);
    case ElementType::kInt16:
    case ElementType::kInt32:
      return;  // not output types of a vote
  }
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DECODE_VOTE_IMPL_H_
