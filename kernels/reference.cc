// SPDX-License-Identifier: Apache-2.0
// What every kernel means, element by element, in the simplest way that can be written. Not for speed.
#include <cstdint>
#include <cstring>

#include "kernels/instances.h"
#include "kernels/kernels.h"
#include "kernels/reference_elements.h"
#include "kernels/reference_lion.h"

namespace signccl {
namespace {

using reference::clearWords;
using reference::getBit;
using reference::getCount;
using reference::getElement;
using reference::getNumber;
using reference::randomTieWord;
using reference::setBit;
using reference::setElement;

/// Stores the number modulo 2^nplanes.
void setNumber(Planes planes, size_t e, uint64_t number) {
  for (int j = 0; j < planes.nplanes; ++j) {
    setBit(planes.words + static_cast<size_t>(j) * planes.stride, e, ((number >> j) & 1) != 0);
  }
}

/// An IEEE format: `exponent_bits` below the sign bit, then the fraction.
struct Format {
  int bits;
  int exponent_bits;
};

/// -1, 0 or +1; NaN is 0.
int signOf(uint64_t pattern, Format format) {
  const int fraction_bits = format.bits - 1 - format.exponent_bits;
  const uint64_t fraction = pattern & ((uint64_t{1} << fraction_bits) - 1);
  const uint64_t max_exponent = (uint64_t{1} << format.exponent_bits) - 1;
  const uint64_t exponent = (pattern >> fraction_bits) & max_exponent;
  const bool is_nan = exponent == max_exponent && fraction != 0;
  const bool is_zero = exponent == 0 && fraction == 0;
  if (is_nan || is_zero) return 0;
  return (pattern >> (format.bits - 1)) != 0 ? -1 : 1;
}

int signOfElement(ElementType type, const void* elements, size_t e) {
  switch (type) {
    case ElementType::kFloat64:
      return signOf(getElement<uint64_t>(elements, e), {64, 11});
    case ElementType::kFloat32:
      return signOf(getElement<uint32_t>(elements, e), {32, 8});
    case ElementType::kFloat16:
      return signOf(getElement<uint16_t>(elements, e), {16, 5});
    case ElementType::kBFloat16:
      return signOf(getElement<uint16_t>(elements, e), {16, 8});
    case ElementType::kInt8: {
      const auto element = getElement<int8_t>(elements, e);
      return (element > 0) - (element < 0);
    }
    case ElementType::kBits: {
      const auto word = getElement<Word>(elements, e / kWordBits);
      return ((word >> (e % kWordBits)) & 1) != 0 ? 1 : -1;
    }
    case ElementType::kInt16:
    case ElementType::kInt32:
      break;
  }
  return 0;
}

void encodeBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  clearWords(nonnegative, count);
  for (size_t e = 0; e < count; ++e) setBit(nonnegative, e, signOfElement(type, elements, e) >= 0);
}

void encodeTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  encodeBinary(type, elements, count, nonnegative);
  clearWords(positive, count);
  for (size_t e = 0; e < count; ++e) setBit(positive, e, signOfElement(type, elements, e) > 0);
}

/// -1, 0 or +1 for the patterns of exactly these numbers, 2 for all others.
int valueOfElement(ElementType type, const void* elements, size_t e) {
  const auto among = [](uint64_t pattern, uint64_t plus, uint64_t minus) {
    return pattern == 0 ? 0 : pattern == plus ? 1 : pattern == minus ? -1 : 2;
  };
  switch (type) {
    case ElementType::kFloat64:
      return among(getElement<uint64_t>(elements, e), 0x3FF0'0000'0000'0000, 0xBFF0'0000'0000'0000);
    case ElementType::kFloat32:
      return among(getElement<uint32_t>(elements, e), 0x3F80'0000, 0xBF80'0000);
    case ElementType::kFloat16:
      return among(getElement<uint16_t>(elements, e), 0x3C00, 0xBC00);
    case ElementType::kBFloat16:
      return among(getElement<uint16_t>(elements, e), 0x3F80, 0xBF80);
    case ElementType::kInt8:
      return among(getElement<uint8_t>(elements, e), 1, 0xFF);
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;
  }
  return 2;
}

uint32_t encodeSumTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  uint32_t met = 0;
  clearWords(positive, count);
  clearWords(nonnegative, count);
  for (size_t e = 0; e < count; ++e) {
    const int value = valueOfElement(type, elements, e);
    setBit(positive, e, value == 1);
    setBit(nonnegative, e, value != -1);
    if (value == 0) met |= kMetZeros;
    if (value == 2) met |= kMetOthers;
  }
  return met;
}

uint32_t encodeSumBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  uint32_t met = 0;
  clearWords(nonnegative, count);
  for (size_t e = 0; e < count; ++e) {
    const int value = valueOfElement(type, elements, e);
    setBit(nonnegative, e, value == 1);
    if (value == 0) met |= kMetZeros;
    if (value == 2) met |= kMetOthers;
  }
  return met;
}

void count(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  for (size_t e = 0; e < nwords * kWordBits; ++e) {
    uint64_t votes = 0;
    for (int k = 0; k < ninputs; ++k) votes += getBit(inputs[k], e) ? 1 : 0;
    setNumber(counts, e, votes);
  }
}

void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum) {
  for (size_t e = 0; e < nwords * kWordBits; ++e) setNumber(sum, e, getNumber(a, e) + getNumber(b, e));
}

void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out) {
  for (size_t e = 0; e < nwords * kWordBits; ++e) {
    uint64_t number = getNumber(in, e);
    if (number < low) number = low;
    if (number > high) number = high;
    setNumber(out, e, number - low);
  }
}

bool tieIsPositive(TieBits ties, size_t e) {
  const Word word =
      ties.is_random ? randomTieWord(ties.word_or_key, ties.first_word + e / kWordBits) : ties.word_or_key;
  return ((word >> (e % kWordBits)) & 1) != 0;
}

void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative) {
  for (size_t e = 0; e < nwords * kWordBits; ++e) {
    const uint64_t votes = getNumber(counts, e);
    const bool won = votes >= threshold;
    const bool tied = has_ties && votes + 1 == threshold;
    const bool tie_is_positive = tieIsPositive(ties, e);
    setBit(positive, e, won || (tied && tie_is_positive));
    if (nonnegative != nullptr) setBit(nonnegative, e, won || tied);
  }
}

void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  for (size_t e = 0; e < nwords * kWordBits; ++e) {
    const uint64_t own =
        (own_positive != nullptr && getBit(own_positive, e) ? 1U : 0U) + (getBit(own_nonnegative, e) ? 1U : 0U);
    const uint64_t modulus = uint64_t{1} << low.nplanes;
    const uint64_t remainder = getNumber(low, e);
    uint64_t number = own;
    while (number % modulus != remainder) ++number;
    setBit(top, e, ((number >> low.nplanes) & 1) != 0);
  }
}

void setVote(ElementType type, void* elements, size_t e, int vote) {
  // Indexed by vote + 1.
  constexpr uint64_t kFloat64[] = {0xBFF0'0000'0000'0000, 0, 0x3FF0'0000'0000'0000};
  constexpr uint32_t kFloat32[] = {0xBF80'0000, 0, 0x3F80'0000};
  constexpr uint16_t kFloat16[] = {0xBC00, 0, 0x3C00};
  constexpr uint16_t kBFloat16[] = {0xBF80, 0, 0x3F80};
  switch (type) {
    case ElementType::kFloat64:
      return setElement(elements, e, kFloat64[vote + 1]);
    case ElementType::kFloat32:
      return setElement(elements, e, kFloat32[vote + 1]);
    case ElementType::kFloat16:
      return setElement(elements, e, kFloat16[vote + 1]);
    case ElementType::kBFloat16:
      return setElement(elements, e, kBFloat16[vote + 1]);
    case ElementType::kInt8:
      return setElement(elements, e, static_cast<int8_t>(vote));
    case ElementType::kBits: {
      auto word = e % kWordBits == 0 ? Word{0} : getElement<Word>(elements, e / kWordBits);
      setBit(&word, e % kWordBits, vote > 0);
      return setElement(elements, e / kWordBits, word);
    }
    case ElementType::kInt16:
    case ElementType::kInt32:
      return;
  }
}

void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements, Store) {
  for (size_t e = 0; e < count; ++e) {
    const bool is_zero = nonnegative != nullptr && getBit(nonnegative, e);
    setVote(type, elements, e, getBit(positive, e) ? 1 : is_zero ? 0 : -1);
  }
}

void decodeAvg(ElementType type, Counts counts, const void* table, size_t count, void* elements, Store) {
  if (type == ElementType::kBits) return;
  const size_t width = elementBytes(type, 1);
  for (size_t e = 0; e < count; ++e) {
    std::memcpy(static_cast<unsigned char*>(elements) + e * width,
                static_cast<const unsigned char*>(table) + getCount(counts, e) * width, width);
  }
}

const Kernels kReferenceKernels = {"reference",
                                   everySupported,
                                   encodeBinary,
                                   encodeTernary,
                                   encodeSumBinary,
                                   encodeSumTernary,
                                   count,
                                   merge,
                                   clamp,
                                   decide,
                                   restoreTop,
                                   decodeVote,
                                   decodeAvg,
                                   reference::encodeLion,
                                   reference::decodeVoteLion,
                                   reference::decodeAvgLion};

}  // namespace

const Kernels& referenceKernels() { return kReferenceKernels; }

}  // namespace signccl
