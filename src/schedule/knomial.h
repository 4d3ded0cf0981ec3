// SPDX-License-Identifier: Apache-2.0
// How the k-nomial algorithm divides a group of ranks; the cost model uses it too.
#ifndef SIGNCCL_SCHEDULE_KNOMIAL_H_
#define SIGNCCL_SCHEDULE_KNOMIAL_H_

namespace signccl {

/// Most parts of a group.
inline constexpr int kMaxRadix = 8;

/// Parts that a group of `size` > 1 ranks is divided into: as few as the number of levels that the largest radix needs
/// allows, but a divisor of `size` where there is one.
int knomialRadix(int size);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_KNOMIAL_H_
