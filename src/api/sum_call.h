// SPDX-License-Identifier: Apache-2.0
// What signcclAllReduceSum() has beyond other collectives: its values are checked, and the caller learns the outcome.
#ifndef SIGNCCL_API_SUM_CALL_H_
#define SIGNCCL_API_SUM_CALL_H_

#include <cstddef>
#include <optional>

#include "api/stream_place.h"
#include "exec/notes.h"
#include "kernels/kernels.h"
#include "signccl/signccl.h"

namespace signccl {

/// A sum, from the call until its outcome has been told.
struct SumCall {
  signcclSumOutcome_t* outcome = nullptr;  ///< where the caller wants it; null: values that do not fit are an error
  ElementType type = ElementType::kFloat32;
  const void* sendbuff = nullptr;
  std::size_t count = 0;
  int votes_per_rank = 1;
  std::size_t segment = 0;        ///< its place among the calls of its exchange
  StreamPlace place = {};         ///< where it is carried out
  bool discards_misfits = false;  ///< see ExchangeRules
  bool is_in_place = false;

  /// True if sendbuff still holds the values after they did not fit.
  [[nodiscard]] bool keepsInput() const { return !discards_misfits || !is_in_place; }
  [[nodiscard]] bool fits(std::uint32_t note) const { return fitsSigns(metOfSum(note, segment), votes_per_rank); }
};

/// An element that signs do not stand for.
struct Misfit {
  std::size_t index = 0;
  double value = 0;
};

/// Tells the outcome of a sum whose exchange is over with these notes, on rank `rank`. `misfit`: the first one in the
/// sendbuff of this rank, if there is one. Throws signcclInvalidArgument if the values do not fit and the caller does
/// not ask for the outcome.
void tellOutcome(const SumCall& call, const Notes& notes, int rank, const std::optional<Misfit>& misfit);

/// The first misfit among `count` elements in host memory, if any. `type`: that of a sum.
std::optional<Misfit> firstMisfit(const Kernels& kernels, ElementType type, const void* elements, std::size_t count,
                                  int votes_per_rank);

}  // namespace signccl

#endif  // SIGNCCL_API_SUM_CALL_H_
