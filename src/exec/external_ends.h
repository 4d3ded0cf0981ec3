// SPDX-License-Identifier: Apache-2.0
// Exchanges that are encoded and decoded outside of the engine, such as by kernels on a CUDA stream: signs come in, and
// results go out, through memory.
//
// The memory of a slice of `nwords` words holds planes, each of nwords words: first the signs as
// Kernels::encodeTernary() writes them (positive, then nonnegative) or encodeBinary()'s one plane, then
// externalResultPlanes(), as Kernels::decodeVote() or decodeAvg() read them. The engine writes the results and whatever
// leads to them there, and sends from there, so nothing is copied.
#ifndef SIGNCCL_EXEC_EXTERNAL_ENDS_H_
#define SIGNCCL_EXEC_EXTERNAL_ENDS_H_

#include <cstddef>
#include <cstdint>

#include "exec/notes.h"
#include "kernels/word.h"
#include "schedule/width.h"

namespace signccl {

/// Planes of the results of a slice: of a vote 1, or 2 with zeros; of an average its complete counts.
inline int externalResultPlanes(const CountRules& rules) {
  return rules.op == SignOp::kAvg ? fullPlanes(rules) : resultPlanes(rules);
}

/// Words of memory for a slice of `nwords` words.
inline std::size_t externalWords(const CountRules& rules, std::size_t nwords) {
  return static_cast<std::size_t>(rules.votes_per_rank + externalResultPlanes(rules)) * nwords;
}

/// Of one exchange. Calls come from the thread that drives the engine; none blocks.
class ExternalEnds {
 public:
  virtual ~ExternalEnds() = default;

  /// Where the planes of a slice are. Its memory belongs to the engine from hasSigns() until end() or fail().
  [[nodiscard]] virtual Word* memoryOf(std::size_t slice) noexcept = 0;

  /// True once the signs of a slice are in its memory. Asked again and again until then.
  [[nodiscard]] virtual bool hasSigns(std::size_t slice) noexcept = 0;

  /// What this rank tells the others with the signs of a slice, see notes.h: a veto, or what the sources of a sum have
  /// met, in all slices. Asked once hasSigns(). Throws Error if the exchange must fail.
  [[nodiscard]] virtual std::uint32_t note(std::size_t slice) = 0;

  /// The slice is complete: its results are in its memory, unless a rank vetoed, and no message uses it any longer.
  /// `note`: of all ranks. Throws Error if the exchange must fail.
  virtual void end(std::size_t slice, std::uint32_t note) = 0;

  /// The exchange has failed: slices that have not ended never will. Also called if the exchange never began. The last
  /// call.
  virtual void fail() noexcept = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_EXTERNAL_ENDS_H_
