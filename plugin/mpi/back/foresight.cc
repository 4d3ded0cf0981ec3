// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/foresight.h"

#include <algorithm>

namespace signccl::mpi {
namespace {

/// Elements of the beginning: values that are no signs, such as gradients, show at once.
constexpr std::size_t kBeginning = 4096;

/// Counts that are remembered for a communicator. A program whose counts never repeat would need memory without end.
constexpr std::size_t kMostRemembered = 4096;

}  // namespace

Foresight::View Foresight::look(std::size_t rule, const void* elements, std::size_t count, rules::ElementType type,
                                MPI_Comm comm, const NextCalls& next) {
  const auto known = was_taken_.find({rule, count});
  if (known != was_taken_.end() && known->second) return {};
  const std::size_t looked_at = known == was_taken_.end() ? std::min(count, kBeginning) : count;
  View view;
  view.own = rules::checkValues(elements, looked_at, type);
  // The enumerators are in the order of signs, zeros and others: the smallest negative is the worst of all ranks.
  view.values = static_cast<rules::Values>(-next.smallest(-static_cast<int>(view.own.values), comm));
  return view;
}

void Foresight::note(std::size_t rule, std::size_t count, bool is_taken) {
  // All ranks have noted the same calls, so they forget at the same one.
  if (was_taken_.size() >= kMostRemembered) was_taken_.clear();
  was_taken_[{rule, count}] = is_taken;
}

}  // namespace signccl::mpi
