// SPDX-License-Identifier: Apache-2.0
// Ends of an exchange outside of the engine, for tests: signs come when they like, encoded by the sources of the batch,
// and results go to its sinks. The values of a sum are checked apart from that, before the first signs come.
#ifndef SIGNCCL_TESTS_EXEC_KERNEL_ENDS_H_
#define SIGNCCL_TESTS_EXEC_KERNEL_ENDS_H_

#include <cstdint>
#include <random>
#include <vector>

#include "exec/batch.h"
#include "exec/external_ends.h"
#include "schedule/chunk.h"

namespace signccl {

class KernelEnds final : public ExternalEnds {
 public:
  /// The signs of a slice come at each question with probability `readiness`. `batch` must outlive it.
  KernelEnds(const Batch& batch, std::size_t nslices, double readiness, std::uint64_t seed);

  [[nodiscard]] Word* memoryOf(std::size_t slice) noexcept override { return slices_[slice].memory.data(); }
  [[nodiscard]] bool hasSigns(std::size_t slice) noexcept override;
  [[nodiscard]] std::uint32_t note(std::size_t) noexcept override { return own_note_; }
  void end(std::size_t slice, std::uint32_t note) noexcept override;
  void fail() noexcept override { has_failed_ = true; }

  [[nodiscard]] bool hasFailed() const { return has_failed_; }
  /// True if every slice has ended once, with this note.
  [[nodiscard]] bool allEnded(std::uint32_t note) const;

 private:
  struct SliceState {
    WordRange words;
    std::vector<Word> memory;
    bool has_signs = false;
    int times_ended = 0;
    std::uint32_t note = 0;
  };

  void encode(SliceState& slice);
  void decode(const SliceState& slice, std::uint32_t note);

  const Batch& batch_;
  const double readiness_;
  std::mt19937_64 random_;
  std::vector<SliceState> slices_;
  std::uint32_t own_note_ = 0;
  bool has_failed_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_EXEC_KERNEL_ENDS_H_
