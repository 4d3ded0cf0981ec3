// SPDX-License-Identifier: Apache-2.0
// What an average gives for every possible count, as values of the output type: the table of Kernels::decodeAvg.
#ifndef SIGNCCL_EXEC_MEAN_TABLE_H_
#define SIGNCCL_EXEC_MEAN_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/kernels.h"
#include "schedule/width.h"

namespace signccl {

/// Entry c is (sum of signs) / nranks, correctly rounded, or for integer types the sum, where c votes were positive:
/// sum = 2 c - nranks for binary signs, c - nranks for ternary ones. 2^fullPlanes entries, those that no count reaches
/// are 0.
class MeanTable {
 public:
  /// The integer types must hold nranks.
  MeanTable(ElementType type, const CountRules& rules);

  [[nodiscard]] const void* data() const { return values_.get(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::size_t bytes_;
  std::unique_ptr<void, Free> values_;
};

/// Correctly rounded (to nearest, ties to even) conversions of finite values; bit patterns.
std::uint16_t toFloat16(double value);
std::uint16_t toBFloat16(double value);

}  // namespace signccl

#endif  // SIGNCCL_EXEC_MEAN_TABLE_H_
