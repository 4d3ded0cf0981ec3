// SPDX-License-Identifier: Apache-2.0
// The arithmetic of all-reduces.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_REDUCTION_H_
#define SIGNCCL_TESTS_FAKE_NCCL_REDUCTION_H_

#include <cstddef>
#include <span>
#include <vector>

namespace fake_nccl {

/// Bytes of an element of an ncclDataType_t.
std::size_t elementBytes(int type);

/// Sums or averages (ncclSum, ncclAvg) the vectors of all ranks, one behind the other in `parts`, into `to`. Of int8
/// and float32; other types and operations give zeros.
void reduceParts(int type, int op, int nranks, const std::vector<std::byte>& parts, std::span<std::byte> to);

}  // namespace fake_nccl

#endif  // SIGNCCL_TESTS_FAKE_NCCL_REDUCTION_H_
