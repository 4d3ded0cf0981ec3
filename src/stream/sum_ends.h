// SPDX-License-Identifier: Apache-2.0
// The ends of an exchange of sums in slots. Kernels have checked all values of this rank before the stream posts the
// first signs. So what it has met is known with any slice, and no slice need wait for the others.
#ifndef SIGNCCL_STREAM_SUM_ENDS_H_
#define SIGNCCL_STREAM_SUM_ENDS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "stream/slot_ends.h"

namespace signccl {

/// What an exchange of sums needs beside its slots.
struct SumOfSlots {
  int rank = 0;  ///< for messages
  std::size_t nsegments = 0;
  int votes_per_rank = 1;
  /// A bit for each segment whose caller trusts its values, and does not ask for the outcome: values that do not fit
  /// make the exchange fail, and with it the communicator.
  std::uint32_t trusted = 0;
  bool discards_misfits = false;  ///< as in Batch
};

/// As SlotEnds.
class SumEnds final : public ExternalEnds {
 public:
  SumEnds(std::shared_ptr<const SlotMemory> memory, std::vector<SlotSlice> slices, std::uint32_t number,
          const SumOfSlots& sum)
      : slots_(memory, std::move(slices), number, nullptr), memory_(std::move(memory)), number_(number), sum_(sum) {}

  [[nodiscard]] Word* memoryOf(std::size_t slice) noexcept override { return slots_.memoryOf(slice); }
  [[nodiscard]] bool hasSigns(std::size_t slice) noexcept override { return slots_.hasSigns(slice); }

  /// Throws signcclInvalidArgument, which names this rank, if values that are trusted do not fit. No message has left
  /// then, so that all ranks fail with these words.
  [[nodiscard]] std::uint32_t note(std::size_t slice) override;

  /// Throws signcclInvalidArgument if values of another rank do not fit that are trusted here, and signcclInvalidUsage
  /// if another rank discards what this one keeps: slices are taken as they end.
  void end(std::size_t slice, std::uint32_t note) override;
  void fail() noexcept override;

 private:
  [[nodiscard]] bool hasTrustedMisfit(std::uint32_t note) const;
  [[nodiscard]] bool fits(std::uint32_t note, std::size_t segment) const {
    return fitsSigns(metOfSum(note, segment), sum_.votes_per_rank);
  }

  SlotEnds slots_;
  const std::shared_ptr<const SlotMemory> memory_;
  const std::uint32_t number_;
  const SumOfSlots sum_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SUM_ENDS_H_
