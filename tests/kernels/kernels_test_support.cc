// SPDX-License-Identifier: Apache-2.0
#include "kernels_test_support.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace signccl {
namespace {

std::vector<uint64_t> floatSpecials(int bits, int exponent_bits) {
  const int fraction_bits = bits - 1 - exponent_bits;
  const uint64_t sign = uint64_t{1} << (bits - 1);
  const uint64_t infinity = ((uint64_t{1} << exponent_bits) - 1) << fraction_bits;
  const uint64_t quiet_nan = infinity | uint64_t{1} << (fraction_bits - 1);
  const uint64_t largest_nan = infinity | ((uint64_t{1} << fraction_bits) - 1);
  const uint64_t smallest_normal = uint64_t{1} << fraction_bits;
  std::vector<uint64_t> patterns;
  for (const uint64_t magnitude : {uint64_t{0}, uint64_t{1}, smallest_normal - 1, smallest_normal, infinity - 1,
                                   infinity, infinity + 1, quiet_nan, largest_nan}) {
    patterns.push_back(magnitude);
    patterns.push_back(magnitude | sign);
  }
  return patterns;
}

}  // namespace

AddedInstance& addedInstance() {
  static AddedInstance added;
  return added;
}

std::vector<uint64_t> specialPatterns(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return floatSpecials(64, 11);
    case ElementType::kFloat32:
      return floatSpecials(32, 8);
    case ElementType::kFloat16:
      return floatSpecials(16, 5);
    case ElementType::kBFloat16:
      return floatSpecials(16, 8);
    case ElementType::kInt8:
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;
  }
  return {0, 1, 0x7F, 0x80, 0x81, 0xFF};
}

void fillElements(ElementType type, std::mt19937_64& random, void* elements, size_t count) {
  const std::vector<uint64_t> specials = specialPatterns(type);
  const size_t width = type == ElementType::kBits ? sizeof(Word) : elementBytes(type, 1);
  const size_t patterns = elementBytes(type, count) / width;
  for (size_t i = 0; i < patterns; ++i) {
    const uint64_t choice = random();
    const bool special = type != ElementType::kBits && choice % 2 == 0;
    const uint64_t pattern = special ? specials[choice / 2 % specials.size()] : random();
    std::memcpy(static_cast<unsigned char*>(elements) + i * width, &pattern, width);
  }
}

std::vector<size_t> wordGrid() {
  std::vector<size_t> words;
  for (size_t n = 0; n <= 73; n += kCoarseGrid && n > 20 ? 7 : 1) words.push_back(n);
  words.push_back((100003 + kWordBits - 1) / kWordBits);
  return words;
}

std::vector<size_t> countGrid() {
  constexpr size_t kFourVectors = size_t{4} * 512;
  std::vector<size_t> counts;
  for (size_t n = 0; n <= kFourVectors + 1; n += kCoarseGrid && n > 260 ? 37 : 1) counts.push_back(n);
  for (const size_t n : {size_t{4099}, size_t{100003}}) counts.push_back(n);
  return counts;
}

std::vector<size_t> shortCountGrid() { return {0, 1, 5, 63, 64, 65, 127, 200, 1000}; }

std::vector<ElementType> signTypes() {
  return {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
          ElementType::kFloat64, ElementType::kInt8,    ElementType::kBits};
}

TestBuffer randomTable(ElementType type, int nplanes, std::mt19937_64& random) {
  TestBuffer table(elementBytes(type, size_t{1} << nplanes));
  table.fillRandom(random);
  if (type != ElementType::kInt8 || nplanes == 0) return table;
  const unsigned step = table.data()[1];
  for (size_t c = 1; c < table.size(); ++c) table.data()[c] = static_cast<unsigned char>(table.data()[c - 1] + step);
  return table;
}

const char* typeName(ElementType type) {
  constexpr const char* kNames[kNumElementTypes] = {"float32", "float16", "bfloat16", "float64",
                                                    "int8",    "int16",   "int32",    "bits"};
  return kNames[static_cast<int>(type)];
}

#if defined(__x86_64__)
FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  constexpr unsigned kFlushToZero = 1U << 15;
  constexpr unsigned kDenormalsAreZero = 1U << 6;
  _mm_setcsr(static_cast<unsigned>(saved_) | kFlushToZero | kDenormalsAreZero);
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#elif defined(__aarch64__)
FlushDenormals::FlushDenormals() {
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" ::"r"(saved_ | kFlushToZero));
}
FlushDenormals::~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }
#endif

}  // namespace signccl
