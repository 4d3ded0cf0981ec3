// SPDX-License-Identifier: Apache-2.0
// What the tests of the Lion kernels share: types, numbers with awkward values, settings of the floating-point unit.
#ifndef SIGNCCL_TESTS_KERNELS_LION_TEST_SUPPORT_H_
#define SIGNCCL_TESTS_KERNELS_LION_TEST_SUPPORT_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/kernels.h"
#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {

inline constexpr FloatType kFloatTypes[] = {FloatType::kFloat32, FloatType::kFloat16, FloatType::kBFloat16};

const char* typeName(FloatType type);

/// A sixth of them each: zeros, infinities, NaNs and the ends of the range; patterns that round to 16 bits in an
/// awkward way (ties, overflow, denormals); random patterns. The other half are ordinary numbers around 1.
void fillNumbers(FloatType type, std::mt19937_64& random, void* numbers, size_t count);

/// A buffer of `count` numbers as fillNumbers() makes them, and a copy with the same alignment.
struct NumbersTwice {
  NumbersTwice(FloatType type, std::mt19937_64& random, size_t count, size_t offset);

  TestBuffer first;
  TestBuffer second;
};

/// All counts up to 200, fewer under emulators, and large odd ones.
std::vector<size_t> lionCountGrid();

/// Distances from an aligned address, in bytes: every one of a float32, and that of large blocks of malloc().
inline constexpr size_t kLionOffsets[] = {0, 1, 2, 3, 16};

/// A setting of the thread's floating-point unit: what MXCSR or FPCR is to be.
struct FloatSetting {
  const char* name;
  uint64_t control;
};

/// Denormals flushed, every other way of rounding, traps, and what else a processor has.
std::vector<FloatSetting> unusualFloatSettings();

/// Gives the thread a setting while it lives. Nobody else should calculate meanwhile.
class FloatSettingGuard {
 public:
  explicit FloatSettingGuard(FloatSetting setting);
  ~FloatSettingGuard();
  FloatSettingGuard(const FloatSettingGuard&) = delete;
  FloatSettingGuard& operator=(const FloatSettingGuard&) = delete;

 private:
  uint64_t saved_control_;
  uint64_t saved_flags_;
};

/// The thread's control register and its flags of exceptions.
struct FloatState {
  uint64_t control;
  uint64_t flags;

  static FloatState now();
  friend bool operator==(const FloatState&, const FloatState&) = default;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_LION_TEST_SUPPORT_H_
