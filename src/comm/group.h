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
#include "comm/signature.h"
#include "schedule/cost.h"
#include "topology/topology.h"
#include "transport/transport.h"

namespace signccl {

using Deadline = std::chrono::steady_clock::time_point;

/// Why a group cannot go on; the same on every rank.
struct Failure {
  signcclResult_t code = signcclSuccess;
  std::string message;
};

/// Settings that decide who sends what to whom, so that all ranks must have the same: name and value.
using SharedSettings = std::vector<std::pair<std::string, std::string>>;

class Group {
 public:
  virtual ~Group() = default;

  [[nodiscard]] virtual Rank rank() const = 0;
  [[nodiscard]] virtual const Topology& topology() const = 0;
  /// Ranks of the group on this machine, whatever the topology says.
  [[nodiscard]] virtual int ranksOnThisMachine() const = 0;

  /// What messages cost here, for the choice of algorithms; the same on every rank.
  [[nodiscard]] virtual CostModel costModel() const = 0;

  /// Waits until all ranks have joined. Throws Error: signcclTimeout naming those that have not, or the failure.
  virtual void awaitMembers(Deadline deadline) = 0;

  /// The transport of this rank. Called once, after awaitMembers().
  virtual std::unique_ptr<Transport> makeTransport() = 0;

  /// Says what this rank is about to exchange. Ranks that disagree make the group fail with signcclInvalidUsage.
  virtual void announce(std::uint64_t exchange, const ExchangeSignature& signature) = 0;

  /// True once every rank has announced `exchange`, which this rank has.
  virtual bool allAnnounced(std::uint64_t exchange) = 0;

  /// Ranks that have not announced `exchange`, ascending; for error messages.
  [[nodiscard]] virtual std::vector<Rank> notAnnounced(std::uint64_t exchange) = 0;

  /// True once the group has failed. Cheap; any thread.
  [[nodiscard]] virtual bool failed() const noexcept = 0;

  /// The first failure. Any thread.
  [[nodiscard]] virtual Failure failure() const = 0;

  /// Makes the group fail and wakes every rank; only the first failure counts. Any thread; does not block.
  virtual void fail(const Failure& failure) noexcept = 0;

  /// This rank takes part no more; if others wait for it, the group fails with signcclRemoteError.
  virtual void leave() noexcept = 0;

  /// Takes part in a split; the ranks' n-th splits belong together. Ranks of one color must have the same settings, or
  /// the group fails with signcclInvalidUsage.
  virtual void postSplit(int color, int key, const SharedSettings& settings) = 0;

  /// Waits for the other ranks' postSplit() and gives the new group, null for a negative color.
  virtual std::unique_ptr<Group> awaitSplit(Deadline deadline) = 0;
};

/// "2", "2 and 3", "2, 3, 5 and 12 more"
std::string rankList(const std::vector<Rank>& ranks);

}  // namespace signccl

#endif  // SIGNCCL_COMM_GROUP_H_
