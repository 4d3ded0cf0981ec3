// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/foresight.h"

#include <algorithm>
#include <cstddef>

namespace signccl::mpi {
namespace {

/// Elements of the beginning: values that are no signs, such as gradients, show at once.
constexpr std::size_t kBeginning = 4096;

/// Counts that are remembered for a communicator. A program whose counts never repeat would need memory without end.
constexpr std::size_t kMostRemembered = 4096;

/// What all ranks make of what each has seen.
rules::Values worstOf(rules::Values own, MPI_Comm comm, const NextCalls& next) {
  // The enumerators are in the order of signs, zeros and others: the smallest negative is the worst of all ranks.
  return static_cast<rules::Values>(-next.smallest(-static_cast<int>(own), comm));
}

/// Looks at one element.
rules::LocalValues lookAt(const void* elements, std::int64_t index, rules::ElementType type) {
  const auto offset = static_cast<std::size_t>(index) * rules::sizeOf(type);
  rules::LocalValues found = rules::checkValues(static_cast<const std::byte*>(elements) + offset, 1, type);
  if (found.first_index == 0) found.first_index = index;
  return found;
}

}  // namespace

Foresight::View Foresight::look(std::size_t rule, const void* elements, std::size_t count, rules::ElementType type,
                                MPI_Comm comm, const NextCalls& next) {
  const auto known = outcomes_.find({rule, count});
  if (known != outcomes_.end() && known->second.was_taken) return {};
  View view;
  if (known != outcomes_.end()) {
    if (known->second.misfit >= 0) view.own = lookAt(elements, known->second.misfit, type);
    view.values = worstOf(view.own.values, comm, next);
    if (view.values == rules::Values::kOther) return view;
  }
  view.own = rules::checkValues(elements, known == outcomes_.end() ? std::min(count, kBeginning) : count, type);
  view.values = worstOf(view.own.values, comm, next);
  return view;
}

void Foresight::note(std::size_t rule, std::size_t count, Outcome outcome) {
  // All ranks have noted the same calls, so they forget at the same one.
  if (outcomes_.size() >= kMostRemembered) outcomes_.clear();
  outcomes_[{rule, count}] = outcome;
}

}  // namespace signccl::mpi
