// SPDX-License-Identifier: Apache-2.0
// Groups of ranks that are threads of one process. Their control plane is a record that they share.
#ifndef SIGNCCL_COMM_LOOPBACK_GROUP_H_
#define SIGNCCL_COMM_LOOPBACK_GROUP_H_

#include <memory>
#include <string>
#include <vector>

#include "comm/group.h"
#include "control/messages.h"

namespace signccl {

class LoopbackRecord;

class LoopbackGroup final : public Group {
 public:
  /// Takes place `rank` of the group that `name` names; does not wait for the others. Whoever gave out the name has
  /// seen to it that all of the `nranks` ranks are of this process, agree, and enter once each.
  static std::unique_ptr<LoopbackGroup> enter(const Secret& name, int nranks, Rank rank, int ranks_per_node);

  /// All places of a new group.
  static std::vector<std::unique_ptr<LoopbackGroup>> makeAll(int nranks, int ranks_per_node);

  LoopbackGroup(std::shared_ptr<LoopbackRecord> record, Rank rank);

  [[nodiscard]] Rank rank() const override { return rank_; }
  [[nodiscard]] const Topology& topology() const override;
  [[nodiscard]] bool isOfOneProcess() const override { return true; }
  [[nodiscard]] CoreShare coreShare() const override;
  [[nodiscard]] CostModel costModel() const override;
  [[nodiscard]] MeetingPlace meetingPlace() const override;
  std::unique_ptr<Transport> makeTransport() override;
  /// Compares at once: it costs no message here.
  void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) override;
  void announce(std::uint64_t /*exchange*/, const ExchangeSignature& /*signature*/) override {}
  void end(std::uint64_t /*exchange*/) noexcept override {}
  bool allAnnounced(std::uint64_t exchange) override;
  std::vector<Rank> notAnnounced(std::uint64_t exchange) override;
  [[nodiscard]] bool failed() const noexcept override;
  [[nodiscard]] Failure failure() const override;
  void fail(const Failure& failure) noexcept override;
  void awaitTold() noexcept override {}  // the others see a failure where this rank does
  void leave() noexcept override;
  bool allLeft() override { return true; }
  void postAllGather(std::string part) override;
  std::vector<std::string> awaitAllGather(Deadline deadline) override;
  void postSplit(int color, int key, const SharedSettings& settings) override;
  void joinSplit(Deadline /*deadline*/) override {}
  std::unique_ptr<Group> awaitSplit(Deadline deadline) override;

 private:
  std::shared_ptr<LoopbackRecord> record_;
  Rank rank_;
  std::uint64_t gatherings_ = 0;  ///< postSplit() and allGather() calls so far
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_LOOPBACK_GROUP_H_
