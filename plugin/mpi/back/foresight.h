// SPDX-License-Identifier: Apache-2.0
// Foresees calls that would fall back. A try that falls back costs a whole exchange, for nothing; a look at the values
// before it, and one small message, cost little of that, but too much for calls that are taken again and again.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_FORESIGHT_H_
#define SIGNCCL_PLUGIN_MPI_BACK_FORESIGHT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mpi.h>
#include <utility>

#include "mpi/back/next_calls.h"
#include "rules/types.h"
#include "rules/values.h"

namespace signccl::mpi {

/// One for each communicator; the same on all its ranks, since it follows from what they agreed on.
class Foresight {
 public:
  /// What the ranks foresee.
  struct View {
    rules::Values values = rules::Values::kSigns;  ///< of all ranks, as far as they looked
    rules::LocalValues own;                        ///< of this rank
  };

  /// For a call of this rule and count that is to be tried next. The ranks look at the beginning of their vectors
  /// before the first try, and at nothing after one that was taken. After one that fell back they look first where they
  /// found what did not fit, which is often no sign again, and else at all elements. Collective.
  View look(std::size_t rule, const void* elements, std::size_t count, rules::ElementType type, MPI_Comm comm,
            const NextCalls& next);

  /// Notes what became of that call.
  void noteTaken(std::size_t rule, std::size_t count) { note(rule, count, {.was_taken = true, .misfit = -1}); }
  /// `misfit` is the index of an element of this rank that does not fit; -1: all of this rank fit.
  void noteFallback(std::size_t rule, std::size_t count, std::int64_t misfit) {
    note(rule, count, {.was_taken = false, .misfit = misfit});
  }

 private:
  struct Outcome {
    bool was_taken = false;    ///< the same on all ranks
    std::int64_t misfit = -1;  ///< of this rank
  };

  void note(std::size_t rule, std::size_t count, Outcome outcome);

  std::map<std::pair<std::size_t, std::size_t>, Outcome> outcomes_;  ///< by rule and count
};

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_FORESIGHT_H_
