// SPDX-License-Identifier: Apache-2.0
// One rank's place in a group of ranks: how it gets its transport, and the control plane through which ranks find
// each other, compare what they are about to do, and learn that one of them is gone.
#ifndef SIGNCCL_COMM_GROUP_H_
#define SIGNCCL_COMM_GROUP_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/failure.h"
#include "comm/process_meeting.h"
#include "comm/signature.h"
#include "control/shared_settings.h"
#include "host/core_share.h"
#include "schedule/cost.h"
#include "topology/topology.h"
#include "transport/transport.h"

namespace signccl {

class Group;

/// Who is there. Does not change.
class GroupPlace {
 public:
  virtual ~GroupPlace() = default;

  [[nodiscard]] virtual Rank rank() const = 0;
  [[nodiscard]] virtual const Topology& topology() const = 0;
  /// True if all ranks are threads of this process.
  [[nodiscard]] virtual bool isOfOneProcess() const = 0;
  /// Ranks of the group that share the cores of this one, whatever the topology says.
  [[nodiscard]] virtual CoreShare coreShare() const = 0;
  /// What messages cost here, for the choice of algorithms; the same on every rank.
  [[nodiscard]] virtual CostModel costModel() const = 0;
  /// Where the rank meets those of the group that are threads of its process.
  [[nodiscard]] virtual MeetingPlace meetingPlace() const = 0;
};

/// What the ranks are about to do, so that ranks that disagree get an error instead of waiting for each other.
/// Exchanges are numbered alike on all ranks; for each, in this order: begin(), then announce() or allAnnounced(), then
/// end().
class GroupExchanges {
 public:
  virtual ~GroupExchanges() = default;

  /// Says what this rank is about to exchange; `is_empty`: without any data, so that nothing but allAnnounced() says
  /// when it ends. Cheap. Throws Error if a rank that it needs has left.
  virtual void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) = 0;

  /// Reports a non-empty exchange that is still running. Call it once, before the exchange ends. If ranks disagree, the
  /// group fails with signcclInvalidUsage, at the latest when their exchange has not ended for a while. Throws Error if
  /// a rank that the exchange needs has left.
  virtual void announce(std::uint64_t exchange, const ExchangeSignature& signature) = 0;

  /// Says that this rank has ended an exchange. Cheap.
  virtual void end(std::uint64_t exchange) noexcept = 0;

  /// True once every rank has begun `exchange`, which this rank has, as empty.
  virtual bool allAnnounced(std::uint64_t exchange) = 0;

  /// Ranks that have not announced `exchange`, ascending; for error messages. May block for a second.
  virtual std::vector<Rank> notAnnounced(std::uint64_t exchange) = 0;
};

/// Who is gone: failures, and ranks that leave.
class GroupHealth {
 public:
  virtual ~GroupHealth() = default;

  /// True once the group has failed. Cheap; any thread.
  [[nodiscard]] virtual bool failed() const noexcept = 0;

  /// The first failure. Any thread.
  [[nodiscard]] virtual Failure failure() const = 0;

  /// Makes the group fail on this rank at once and on the others as soon as they learn of it; only the first failure
  /// that a rank learns of counts. Any thread; does not block.
  virtual void fail(const Failure& failure) noexcept = 0;

  /// Waits until the others are told what this process had to tell them, a second at most. A failure is reported to the
  /// program only then: the program may end at once, and the others would learn of its end instead of the cause.
  virtual void awaitTold() noexcept = 0;

  /// This rank leaves; if others wait for it, the group fails with signcclRemoteError.
  virtual void leave() noexcept = 0;

  /// True if no rank is left that may still need the transport of this one, or nobody can say so.
  virtual bool allLeft() = 0;
};

/// New groups of the ranks of this one. A split is three calls, so that one thread may take several ranks through it:
/// each call for all of them, then the next. No exchange may be under way.
class GroupSplits {
 public:
  virtual ~GroupSplits() = default;

  /// Gives this rank's part of an all-gather and waits for those of all ranks, [rank], whose sizes may differ. Blocks;
  /// one thread at a time. Splits and all-gathers are counted together: the ranks' n-th belong together, and ranks in
  /// different calls make the group fail with signcclInvalidUsage. Throws Error.
  std::vector<std::string> allGather(std::string part, Deadline deadline) {
    postAllGather(std::move(part));
    return awaitAllGather(deadline);
  }

  /// An all-gather in two steps: gives this rank's part, without waiting; awaitAllGather() must follow. Throws Error.
  virtual void postAllGather(std::string part) = 0;
  virtual std::vector<std::string> awaitAllGather(Deadline deadline) = 0;

  /// Takes part in a split; the ranks' n-th splits belong together. Ranks of one color must have the same settings, or
  /// the group fails with signcclInvalidUsage.
  virtual void postSplit(int color, int key, const SharedSettings& settings) = 0;

  /// Waits for the other ranks' postSplit() and starts to join the new group. awaitSplit() must follow unless it
  /// throws.
  virtual void joinSplit(Deadline deadline) = 0;

  /// Waits for the other ranks' joinSplit() and gives the new group, null for a negative color.
  virtual std::unique_ptr<Group> awaitSplit(Deadline deadline) = 0;
};

class Group : public GroupPlace, public GroupExchanges, public GroupHealth, public GroupSplits {
 public:
  /// The transport of this rank. Called once.
  virtual std::unique_ptr<Transport> makeTransport() = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_GROUP_H_
