// SPDX-License-Identifier: Apache-2.0
// Counts -> elements by table, for every instruction set. Only the width of an element matters here, not its format.
// Small tables are looked up in registers, larger ones in memory, element by element. An `Isa` gives
//   Table<Bits>(table, nplanes)             a copy of a table of up to 2^kMaxPlanes entries (kMaxPlanes < 0: none)
//     .lookup<kStream>(words, nplanes, out) writes kWordBits entries: entry e is selected by bit e of words[0] to
//                                           words[nplanes - 1]
//   packBytes(words, nplanes, bytes)        writes bytes[kWordBits]: byte e is the number whose bit j is bit e of
//                                           words[j]; nplanes <= 8
//   copyBlock<kStream, kBytes>(from, out)   copies kBytes, a multiple of 64; from is aligned to 64 bytes
// out is aligned to kOutputAlignment if kStream.
#ifndef SIGNCCL_KERNELS_DECODE_AVG_IMPL_H_
#define SIGNCCL_KERNELS_DECODE_AVG_IMPL_H_

#include "kernels/decode_impl.h"
#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {

inline constexpr int kMaxTablePlanes = 16;

/// words[j] = bits [first, first + nbits) of plane j of the complete counts, which have `nplanes`.
SIGNCCL_WORD_OP void countsAt(const Counts& counts, int nplanes, size_t first, size_t nbits, Word* words) {
  if (nplanes == 0) return;
  const int top = nplanes - 1;
  Word others = 0;
  for (int j = 0; j < top; ++j) {
    words[j] = bitsAt(counts.planes.words + static_cast<size_t>(j) * counts.planes.stride, first, nbits);
    others |= words[j];
  }
  if (counts.own != nullptr) {
    words[top] = bitsAt(counts.own, first, nbits) & ~others;
  } else {
    words[top] = bitsAt(counts.planes.words + static_cast<size_t>(top) * counts.planes.stride, first, nbits);
  }
}

/// kPlanes > 0: for so many planes, which the compiler then takes one by one, in registers.
template <typename Isa, typename Bits, int kPlanes = 0>
struct SmallTableDecoder {
  Counts counts;
  typename Isa::template Table<Bits> table;

  template <bool kStream>
  SIGNCCL_WORD_OP void block(size_t first, size_t nbits, unsigned char* out) const {
    const int nplanes = kPlanes > 0 ? kPlanes : counts.nplanes();
    Word words[kMaxTablePlanes];
    countsAt(counts, nplanes, first, nbits, words);
    table.template lookup<kStream>(words, nplanes, out);
  }
};

template <typename Isa, typename Bits>
struct LargeTableDecoder {
  Counts counts;
  const Bits* table;

  template <bool kStream>
  SIGNCCL_WORD_OP void block(size_t first, size_t nbits, unsigned char* out) const {
    const int nplanes = counts.nplanes();
    Word words[kMaxTablePlanes];
    countsAt(counts, nplanes, first, nbits, words);
    alignas(64) uint8_t low[kWordBits];
    alignas(64) Bits block[kWordBits];
    if (nplanes <= 8) {
      Isa::packBytes(words, nplanes, low);
      for (size_t e = 0; e < kWordBits; ++e) block[e] = table[low[e]];
    } else {
      alignas(64) uint8_t high[kWordBits];
      Isa::packBytes(words, 8, low);
      Isa::packBytes(words + 8, nplanes - 8, high);
      for (size_t e = 0; e < kWordBits; ++e) block[e] = table[static_cast<size_t>(high[e]) << 8 | low[e]];
    }
    Isa::template copyBlock<kStream, sizeof(block)>(reinterpret_cast<const unsigned char*>(block), out);
  }
};

template <typename Isa, typename Bits>
void decodeAvgElements(const Counts& counts, const void* table, size_t count, void* elements, Store store) {
  using Table = typename Isa::template Table<Bits>;
  const int nplanes = counts.nplanes();
  if constexpr (Table::kMaxPlanes >= 0) {
    const auto decode = [&]<int kPlanes> {
      const SmallTableDecoder<Isa, Bits, kPlanes> decoder{counts, Table(table, nplanes)};
      decodeElements<Isa, sizeof(Bits)>(decoder, count, elements, store);
    };
    // Wider elements take the memory longer than their planes take the processor.
    if constexpr (sizeof(Bits) == 1) {
      static_assert(Table::kMaxPlanes >= 4);
      if (nplanes == 2) return decode.template operator()<2>();
      if (nplanes == 3) return decode.template operator()<3>();
      if (nplanes == 4) return decode.template operator()<4>();
    }
    if (nplanes <= Table::kMaxPlanes) return decode.template operator()<0>();
  }
  const LargeTableDecoder<Isa, Bits> decoder{counts, static_cast<const Bits*>(table)};
  decodeElements<Isa, sizeof(Bits)>(decoder, count, elements, store);
}

template <typename Isa>
void decodeAvg(ElementType type, Counts counts, const void* table, size_t count, void* elements, Store store) {
  switch (type) {
    case ElementType::kInt8:
      return decodeAvgElements<Isa, uint8_t>(counts, table, count, elements, store);
    case ElementType::kFloat16:
    case ElementType::kBFloat16:
    case ElementType::kInt16:
      return decodeAvgElements<Isa, uint16_t>(counts, table, count, elements, store);
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return decodeAvgElements<Isa, uint32_t>(counts, table, count, elements, store);
    case ElementType::kFloat64:
      return decodeAvgElements<Isa, uint64_t>(counts, table, count, elements, store);
    case ElementType::kBits:
      return;  // a mean is not a bit
  }
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DECODE_AVG_IMPL_H_
