// SPDX-License-Identifier: Apache-2.0
// What an average or a sum gives for every possible count, as values of the output type: the table of
// Kernels::decodeAvg.
#ifndef SIGNCCL_EXEC_MEAN_TABLE_H_
#define SIGNCCL_EXEC_MEAN_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"
#include "schedule/width.h"

namespace signccl {

/// What a count stands for. An average in an integer type is a sum, too.
enum class CountMeaning : std::uint8_t { kMean, kSum };

/// Entry c is (sum of signs) / nranks, correctly rounded, or the sum itself, where c votes were positive:
/// sum = 2 c - nranks for binary signs, c - nranks for ternary ones. 2^fullPlanes entries, those that no count reaches
/// are 0.
class MeanTable {
 public:
  /// The type must hold all sums of nranks signs exactly where it is to hold sums; see mostExactRanks().
  MeanTable(ElementType type, const CountRules& rules, CountMeaning meaning = CountMeaning::kMean);

  [[nodiscard]] const void* data() const { return values_.get(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::size_t bytes_;
  std::unique_ptr<void, Free> values_;
};

/// The most ranks whose sums of signs a type holds exactly; 0 for kBits.
std::int64_t mostExactRanks(ElementType type);

/// Correctly rounded (to nearest, ties to even) conversions of finite values; bit patterns.
std::uint16_t toFloat16(double value);
std::uint16_t toBFloat16(double value);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_MEAN_TABLE_H_
