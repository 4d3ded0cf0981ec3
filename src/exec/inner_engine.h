// SPDX-License-Identifier: Apache-2.0
// The ways in which a HostEngine carries out an exchange; it picks one for each.
#ifndef SIGNCCL_EXEC_INNER_ENGINE_H_
#define SIGNCCL_EXEC_INNER_ENGINE_H_

#include <cstddef>
#include <vector>

#include "exec/stations.h"

namespace signccl {

/// All calls come from one thread at a time, and have the meaning of those of Engine.
class InnerEngine {
 public:
  virtual ~InnerEngine() = default;

  /// Makes ready for exchanges like `context`: of its plan, layout, number of words and number of slices. `nlanes`
  /// slices may be under way at once, each with memory of its own: `memory` has room for nlanes times the layout. All
  /// of it must stay until the next call; the rest of what `context` points to may change from one start() to the next.
  virtual void prepare(const StationContext& context, std::size_t nlanes, Word* memory) = 0;

  virtual void start() = 0;
  virtual bool progress() = 0;
  /// True if no exchange is under way: the results are complete, and messages may be overwritten.
  [[nodiscard]] virtual bool finished() const = 0;
  [[nodiscard]] virtual Notes notes() const = 0;
  virtual void abandon() noexcept = 0;

  /// Peers of the messages of `kind` (kSend or kRecv) that are outstanding, in any order.
  [[nodiscard]] virtual std::vector<Rank> peersOf(StepKind kind) const = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_INNER_ENGINE_H_
