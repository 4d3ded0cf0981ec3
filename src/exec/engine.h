// SPDX-License-Identifier: Apache-2.0
// An engine carries out the exchanges of one rank, one at a time. HostEngine does it in host memory over a transport;
// one that enqueues the same plan on a CUDA stream would be another.
#ifndef SIGNCCL_EXEC_ENGINE_H_
#define SIGNCCL_EXEC_ENGINE_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "exec/batch.h"
#include "exec/notes.h"
#include "exec/plan.h"
#include "transport/transport.h"

namespace signccl {

/// Counters of an engine since it was made.
struct EngineCounters {
  TransportCounters messages;
  std::uint64_t scratch_bytes = 0;  ///< memory held for exchanges
};

/// All calls but wake() come from one thread at a time. No call but wait() blocks.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Begins an exchange of at least one word. Not while another is under way. `batch` must stay until the exchange is
  /// finished or abandoned, and `plan` as long as the engine, which keeps what it derived from the last one. Throws
  /// Error, PeerError or std::bad_alloc; abandon() must follow.
  virtual void start(const Plan& plan, const Batch& batch) = 0;

  /// Moves on. True if anything moved, as it does where the exchange becomes finished. Where no exchange is under way
  /// it lets peers take what was sent to them. Throws like start().
  virtual bool progress() = 0;

  /// True if no exchange is under way: the results are complete, and no peer needs this rank to keep polling.
  [[nodiscard]] virtual bool finished() const = 0;

  /// The notes of the last exchange, which is finished. With a veto, no sink of any rank has taken a result.
  [[nodiscard]] virtual Notes notes() const = 0;

  /// Gives the exchange up after a failure. When it returns, user memory is no longer touched, and memory that
  /// peers may still read stays allocated. Afterwards only wake() and counters() may be called.
  virtual void abandon() noexcept = 0;

  /// True while signs of this rank that somebody else encodes are to come: no peer is to blame for the wait.
  [[nodiscard]] virtual bool lacksOwnSigns() const = 0;

  /// Blocks until progress() may have something to do, wake() is called, or `longest` has passed.
  virtual void wait(std::chrono::microseconds longest) = 0;

  /// Ends a wait() under way, or the next one. Any thread.
  virtual void wake() = 0;

  /// Ranks from which a message is outstanding, ascending; if there are none, those that have yet to take one. For
  /// error messages.
  [[nodiscard]] virtual std::vector<Rank> awaitedPeers() const = 0;

  [[nodiscard]] virtual EngineCounters counters() const = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_ENGINE_H_
