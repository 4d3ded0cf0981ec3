// SPDX-License-Identifier: Apache-2.0
#include "lion_test_support.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace signccl {
namespace {

ElementType elementTypeOf(FloatType type) {
  switch (type) {
    case FloatType::kFloat32:
      return ElementType::kFloat32;
    case FloatType::kFloat16:
      return ElementType::kFloat16;
    case FloatType::kBFloat16:
      return ElementType::kBFloat16;
  }
  return ElementType::kFloat32;
}

/// float32 patterns at which rounding to float16 or bfloat16 turns, with both neighbours and both signs.
std::vector<uint64_t> turningPoints() {
  std::vector<uint64_t> patterns;
  for (const uint32_t turn : {
           0x477F'E000U,  // 65504, the largest float16
           0x477F'F000U,  // 65520, from which float16 overflows
           0x4780'0000U,  // 65536
           0x3880'0000U,  // 2^-14, the smallest normal float16
           0x387F'E000U,  // between it and the largest denormal one
           0x3380'0000U,  // 2^-24, the smallest denormal float16
           0x3300'0000U,  // 2^-25, a tie with zero
           0x33C0'0000U,  // 1.5 * 2^-24, a tie that is rounded up
           0x3F80'1000U,  // ties of float16 between 1 and 2
           0x3F80'3000U,
           0x3F80'8000U,  // ties of bfloat16 between 1 and 2
           0x3F81'8000U,
           0x3FFF'8000U,  // a tie that carries into the exponent
           0x7F7F'8000U,  // from which bfloat16 overflows
           0x0000'8000U,  // a tie of bfloat16 with zero
           0x007F'8000U,  // between the largest denormal bfloat16 and the smallest normal one
       }) {
    for (const uint32_t pattern : {turn - 1, turn, turn + 1}) {
      patterns.push_back(pattern);
      patterns.push_back(pattern | 0x8000'0000);
    }
  }
  return patterns;
}

/// A number whose magnitude is from 2^-7 to 2^8.
uint64_t ordinaryPattern(FloatType type, uint64_t bits) {
  const uint64_t exponent = bits >> 40 & 15;
  switch (type) {
    case FloatType::kFloat32:
      return (bits & 0x807F'FFFF) | (exponent + 120) << 23;
    case FloatType::kFloat16:
      return (bits & 0x83FF) | (exponent + 8) << 10;
    case FloatType::kBFloat16:
      return (bits & 0x807F) | (exponent + 120) << 7;
  }
  return 0;
}

uint64_t awkwardPattern(FloatType type, uint64_t bits) {
  static const std::vector<uint64_t> turning_points = turningPoints();
  const uint64_t choice = bits >> 48;
  if (choice % 6 == 0) {
    const std::vector<uint64_t> specials = specialPatterns(elementTypeOf(type));
    return specials[choice / 6 % specials.size()];
  }
  if (choice % 6 == 1 && type == FloatType::kFloat32) return turning_points[choice / 6 % turning_points.size()];
  if (choice % 6 <= 2) return bits;
  return ordinaryPattern(type, bits);
}

}  // namespace

const char* typeName(FloatType type) { return typeName(elementTypeOf(type)); }

void fillNumbers(FloatType type, std::mt19937_64& random, void* numbers, size_t count) {
  const size_t width = floatBytes(type);
  for (size_t e = 0; e < count; ++e) {
    const uint64_t pattern = awkwardPattern(type, random());
    std::memcpy(static_cast<unsigned char*>(numbers) + e * width, &pattern, width);
  }
}

NumbersTwice::NumbersTwice(FloatType type, std::mt19937_64& random, size_t count, size_t offset)
    : first(count * floatBytes(type), offset), second(count * floatBytes(type), offset) {
  fillNumbers(type, random, first.data(), count);
  std::memcpy(second.data(), first.data(), first.size());
}

std::vector<size_t> lionCountGrid() {
  std::vector<size_t> counts;
  for (size_t n = 0; n <= 200; n += kCoarseGrid && n > 66 ? 13 : 1) counts.push_back(n);
  for (const size_t n : {size_t{1000}, size_t{4099}}) counts.push_back(n);
  return counts;
}

#if defined(__x86_64__)
namespace {
constexpr uint64_t kFlags = 0x3F;
constexpr uint64_t kMasks = 0x1F80;
}  // namespace

std::vector<FloatSetting> unusualFloatSettings() {
  constexpr uint64_t kFlushToZero = 1U << 15;
  constexpr uint64_t kDenormalsAreZero = 1U << 6;
  return {{"flush to zero, denormals are zero", kMasks | kFlushToZero | kDenormalsAreZero},
          {"round down", kMasks | 1U << 13},
          {"round up", kMasks | 2U << 13},
          {"round towards zero", kMasks | 3U << 13},
          {"traps", 0},
          {"everything", 3U << 13 | kFlushToZero | kDenormalsAreZero}};
}

FloatSettingGuard::FloatSettingGuard(FloatSetting setting)
    : saved_control_(FloatState::now().control), saved_flags_(FloatState::now().flags) {
  _mm_setcsr(static_cast<unsigned>(setting.control));
}
FloatSettingGuard::~FloatSettingGuard() { _mm_setcsr(static_cast<unsigned>(saved_control_ | saved_flags_)); }

FloatState FloatState::now() {
  const uint64_t state = _mm_getcsr();
  return {state & ~kFlags, state & kFlags};
}
#elif defined(__aarch64__)
// Processors may lack traps, and then read their bits as 0.
std::vector<FloatSetting> unusualFloatSettings() {
  constexpr uint64_t kTraps = 0x9F00;
  constexpr uint64_t kFlushFloat16 = 1U << 19;
  constexpr uint64_t kFlushToZero = 1U << 24;
  constexpr uint64_t kDefaultNan = 1U << 25;
  constexpr uint64_t kOtherFloat16 = 1U << 26;
  return {{"flush to zero", kFlushToZero | kFlushFloat16},
          {"round up", 1U << 22},
          {"round down", 2U << 22},
          {"round towards zero", 3U << 22},
          {"traps", kTraps},
          {"float16 without infinities", kOtherFloat16},
          {"everything", kTraps | kFlushFloat16 | kFlushToZero | kDefaultNan | kOtherFloat16 | 3U << 22}};
}

FloatSettingGuard::FloatSettingGuard(FloatSetting setting)
    : saved_control_(FloatState::now().control), saved_flags_(FloatState::now().flags) {
  asm volatile("msr fpcr, %0" : : "r"(setting.control) : "memory");
  asm volatile("msr fpsr, xzr" : : : "memory");
}
FloatSettingGuard::~FloatSettingGuard() {
  asm volatile("msr fpcr, %0" : : "r"(saved_control_) : "memory");
  asm volatile("msr fpsr, %0" : : "r"(saved_flags_) : "memory");
}

FloatState FloatState::now() {
  FloatState state{};
  asm volatile("mrs %0, fpcr" : "=r"(state.control) : : "memory");
  asm volatile("mrs %0, fpsr" : "=r"(state.flags) : : "memory");
  return state;
}
#endif

}  // namespace signccl
