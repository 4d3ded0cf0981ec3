// SPDX-License-Identifier: Apache-2.0
// The one definition of decodeVoteLion and decodeAvgLion, for every instruction set. Directions D are decoded as
// decodeVote and decodeAvg do it, a block of kWordBits elements at a time into the first-level cache, and applied from
// there. lion_encode_impl.h says what an `Isa` gives beside what those ask for.
#ifndef SIGNCCL_KERNELS_LION_DECODE_IMPL_H_
#define SIGNCCL_KERNELS_LION_DECODE_IMPL_H_

#include "kernels/columns.h"
#include "kernels/decode_avg_impl.h"
#include "kernels/decode_vote_impl.h"
#include "kernels/encode_impl.h"
#include "kernels/float_mode.h"
#include "kernels/kernels.h"
#include "kernels/lion_ops.h"
#include "kernels/random_ties.h"
#include "kernels/tuning.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Elements whose random bits are one word.
inline constexpr size_t kRoundingsPerWord = 4;
inline constexpr size_t kRoundingWords = kWordBits / kRoundingsPerWord;

template <typename Vec>
SIGNCCL_WORD_OP void fillRandom(uint64_t key, uint64_t first_word, Word* random) {
  static_assert(kRoundingWords % Vec::kWords == 0);
  for (size_t i = 0; i < kRoundingWords; i += Vec::kWords) {
    randomTieWords<Vec>(key, first_word + i).store(random + i, AllLanes{});
  }
}

/// Whole words of elements, from element `first` of the kernel's on, at lion.parameters. kStochastic: parameters are
/// bfloat16 and rounded by chance. A function of its own, so that there is one copy of it for whole words and for the
/// last one.
template <typename Isa, FloatType kType, bool kStochastic, typename Directions>
[[gnu::noinline]] void stepWords(const LionParameters& lion, const Directions& directions, size_t first,
                                 size_t nwords) {
  using V = typename Isa::Floats;
  constexpr size_t kVectors = kWordBits / V::kLanes;
  constexpr size_t kBytes = V::kLanes * floatBytes(kType);
  const V learning_rate = V::fill(lion.learning_rate);
  const V weight_decay = V::fill(lion.weight_decay);
  auto* parameters = static_cast<unsigned char*>(lion.parameters);
  for (const size_t end = first + nwords * kWordBits; first < end; first += kWordBits) {
    prefetchAhead<kVectors * kBytes, kLionPrefetchBytes>(parameters);
    alignas(64) unsigned char block[kWordBits * sizeof(float)];
    directions.template block<false>(first, kWordBits, block);
    [[maybe_unused]] alignas(64) Word random[kRoundingWords];
    if constexpr (kStochastic) {
      fillRandom<typename Isa::Vec>(lion.rounding.key, (lion.rounding.first + first) / kRoundingsPerWord, random);
    }
    repeat<kVectors>([&](size_t k) {
      const V direction = V::loadAligned(block + k * V::kLanes * sizeof(float));
      const V parameter = V::template load<kType>(parameters + k * kBytes);
      const V stepped = lionStep(parameter, direction, learning_rate, weight_decay);
      if constexpr (kStochastic) {
        stepped.storeStochastic(parameters + k * kBytes, random + k * V::kLanes / kRoundingsPerWord);
      } else {
        stepped.template store<kType>(parameters + k * kBytes);
      }
    });
    parameters += kVectors * kBytes;
  }
}

template <typename Isa, FloatType kType, bool kStochastic, typename Directions>
void stepElements(const LionParameters& lion, const Directions& directions, size_t count) {
  const size_t whole = count / kWordBits;
  stepWords<Isa, kType, kStochastic>(lion, directions, 0, whole);
  const size_t rest = count % kWordBits;
  if (rest == 0) return;
  unsigned char block[kWordBits * floatBytes(kType)] = {};
  auto* parameters = static_cast<unsigned char*>(lion.parameters) + whole * sizeof(block);
  __builtin_memcpy(block, parameters, rest * floatBytes(kType));
  LionParameters last = lion;
  last.parameters = block;
  stepWords<Isa, kType, kStochastic>(last, directions, whole * kWordBits, 1);
  __builtin_memcpy(parameters, block, rest * floatBytes(kType));
}

template <typename Isa, typename Directions>
void stepParameters(const LionParameters& lion, const Directions& directions, size_t count) {
  switch (lion.type) {
    case FloatType::kFloat32:
      return stepElements<Isa, FloatType::kFloat32, false>(lion, directions, count);
    case FloatType::kFloat16:
      return stepElements<Isa, FloatType::kFloat16, false>(lion, directions, count);
    case FloatType::kBFloat16:
      if (lion.rounding.is_stochastic) return stepElements<Isa, FloatType::kBFloat16, true>(lion, directions, count);
      return stepElements<Isa, FloatType::kBFloat16, false>(lion, directions, count);
  }
}

/// Never inlined: see DefaultFloatMode.
template <typename Isa>
[[gnu::noinline]] void stepByVote(const LionParameters& lion, const Word* positive, const Word* nonnegative,
                                  size_t count) {
  if (nonnegative == nullptr) {
    stepParameters<Isa>(lion, VoteDecoder<Isa, Float32Format, false>{positive, nullptr}, count);
  } else {
    stepParameters<Isa>(lion, VoteDecoder<Isa, Float32Format, true>{positive, nonnegative}, count);
  }
}

template <typename Isa>
void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count) {
  const DefaultFloatMode mode;
  stepByVote<Isa>(lion, positive, nonnegative, count);
}

/// Never inlined: see DefaultFloatMode.
template <typename Isa>
[[gnu::noinline]] void stepByAvg(const LionParameters& lion, const Counts& counts, const float* table, size_t count) {
  using Table = typename Isa::template Table<uint32_t>;
  if constexpr (Table::kMaxPlanes >= 0) {
    const int nplanes = counts.nplanes();
    if (nplanes <= Table::kMaxPlanes) {
      return stepParameters<Isa>(lion, SmallTableDecoder<Isa, uint32_t>{counts, Table(table, nplanes)}, count);
    }
  }
  stepParameters<Isa>(lion, LargeTableDecoder<Isa, float>{counts, table}, count);
}

template <typename Isa>
void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, size_t count) {
  const DefaultFloatMode mode;
  stepByAvg<Isa>(lion, counts, table, count);
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_LION_DECODE_IMPL_H_
