// SPDX-License-Identifier: Apache-2.0
// The small types that every layer shares.
#ifndef SIGNCCL_BASE_TYPES_H_
#define SIGNCCL_BASE_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace signccl {

/// A participant of a communicator, 0 to nranks - 1.
using Rank = std::int32_t;

/// Largest communicator: counts of 2 * kMaxRanks votes (ternary signs are two votes each) fit 16 planes.
inline constexpr int kMaxRanks = 32767;

/// Which collective. A sum is counted as an average is, so where only the counting matters it is kAvg.
enum class SignOp : std::uint8_t { kVote, kAvg, kSum };

/// What a vote gives where positive and negative signs balance. docs/semantics.md.
enum class TieRule : std::uint8_t { kZero, kPositive, kNegative, kRandom };

/// Names for messages: "AllReduceVote"; "vote"; "random", as in the public header.
const char* opName(SignOp op);
const char* shortOpName(SignOp op);
const char* tieRuleName(TieRule rule);

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

}  // namespace signccl

#endif  // SIGNCCL_BASE_TYPES_H_
