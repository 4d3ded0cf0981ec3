// SPDX-License-Identifier: Apache-2.0
// What signcclAllReduceSum() has beyond other collectives: its values are checked, and the caller learns the outcome.
#ifndef SIGNCCL_API_SUM_CALL_H_
#define SIGNCCL_API_SUM_CALL_H_

#include <cstddef>
#include <optional>

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
  std::size_t segment = 0;  ///< its place among the calls of its exchange
};

/// Tells the outcome of a sum whose exchange is over with these notes, on rank `rank`. Throws signcclInvalidArgument if
/// the values do not fit and the caller does not ask for the outcome.
void tellOutcome(const SumCall& call, const Notes& notes, int rank, const Kernels& kernels);

/// The first of `count` elements that signs do not stand for, if any. `type`: that of a sum.
std::optional<std::size_t> firstMisfit(const Kernels& kernels, ElementType type, const void* elements,
                                       std::size_t count, int votes_per_rank);

/// An element as a number; exact for all types but kBits, which has none.
double valueOf(ElementType type, const void* element);

}  // namespace signccl

#endif  // SIGNCCL_API_SUM_CALL_H_
