// SPDX-License-Identifier: Apache-2.0
// How the reference gets at single elements, in the simplest way that can be written.
#ifndef SIGNCCL_KERNELS_REFERENCE_ELEMENTS_H_
#define SIGNCCL_KERNELS_REFERENCE_ELEMENTS_H_

#include <cstdint>
#include <cstring>

#include "kernels/kernels.h"

namespace signccl::reference {

inline bool getBit(const Word* plane, size_t e) { return ((plane[e / kWordBits] >> (e % kWordBits)) & 1) != 0; }

inline void setBit(Word* plane, size_t e, bool value) {
  const Word bit = Word{1} << (e % kWordBits);
  plane[e / kWordBits] = value ? plane[e / kWordBits] | bit : plane[e / kWordBits] & ~bit;
}

inline void clearWords(Word* plane, size_t count) {
  for (size_t i = 0; i < (count + kWordBits - 1) / kWordBits; ++i) plane[i] = 0;
}

inline uint64_t getNumber(ConstPlanes planes, size_t e) {
  uint64_t number = 0;
  for (int j = 0; j < planes.nplanes; ++j) {
    if (getBit(planes.words + static_cast<size_t>(j) * planes.stride, e)) number |= uint64_t{1} << j;
  }
  return number;
}

inline uint64_t getCount(const Counts& counts, size_t e) {
  const uint64_t low = getNumber(counts.planes, e);
  return counts.own != nullptr && low == 0 && getBit(counts.own, e) ? uint64_t{1} << counts.planes.nplanes : low;
}

template <typename T>
T getElement(const void* elements, size_t e) {
  T element;
  std::memcpy(&element, static_cast<const unsigned char*>(elements) + e * sizeof(T), sizeof(T));
  return element;
}

template <typename T>
void setElement(void* elements, size_t e, T element) {
  std::memcpy(static_cast<unsigned char*>(elements) + e * sizeof(T), &element, sizeof(T));
}

inline uint64_t lowHalf(uint64_t x) { return x & 0xFFFF'FFFF; }
inline uint64_t highHalf(uint64_t x) { return x >> 32; }
inline uint64_t swapHalves(uint64_t x) { return (lowHalf(x) << 32) | highHalf(x); }

/// T(call, word) of docs/semantics.md, for the call with this key.
inline Word randomTieWord(uint64_t key, uint64_t word) {
  const uint64_t x = (word * 0x9E37'79B9'7F4A'7C15) ^ key;
  const uint64_t y = x ^ swapHalves(lowHalf(x) * highHalf(x));
  return y ^ (lowHalf(y) * 0xD251'1F52);
}

}  // namespace signccl::reference

#endif  // SIGNCCL_KERNELS_REFERENCE_ELEMENTS_H_
