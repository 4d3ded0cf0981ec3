// SPDX-License-Identifier: Apache-2.0
// Groups of ranks that are processes, on one host or several.
#ifndef SIGNCCL_COMM_PROCESS_GROUP_H_
#define SIGNCCL_COMM_PROCESS_GROUP_H_

#include <memory>

#include "comm/group.h"
#include "comm/network_options.h"
#include "control/hub.h"
#include "control/member.h"
#include "transport/process_transport.h"

namespace signccl {

class HubOffer;
class Joining;

class ProcessGroup final : public Group {
 public:
  /// `member` is ready, and `transport` the one whose address it told. `net` is for the groups of splits.
  ProcessGroup(std::shared_ptr<Member> member, std::unique_ptr<ProcessTransport> transport, const Topology& topology,
               NetworkOptions network);
  ~ProcessGroup() override;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  [[nodiscard]] Rank rank() const override { return member_->rank(); }
  [[nodiscard]] const Topology& topology() const override { return topology_; }
  [[nodiscard]] bool isOfOneProcess() const override { return false; }
  [[nodiscard]] CoreShare coreShare() const override;
  [[nodiscard]] CostModel costModel() const override;
  [[nodiscard]] MeetingPlace meetingPlace() const override;
  std::unique_ptr<Transport> makeTransport() override { return std::move(transport_); }
  void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) override;
  void announce(std::uint64_t exchange, const ExchangeSignature& signature) override;
  void end(std::uint64_t exchange) noexcept override { member_->end(exchange); }
  bool allAnnounced(std::uint64_t exchange) override { return member_->allAnnounced(exchange); }
  std::vector<Rank> notAnnounced(std::uint64_t exchange) override { return member_->missing(exchange); }
  [[nodiscard]] bool failed() const noexcept override { return member_->failed(); }
  [[nodiscard]] Failure failure() const override { return member_->failure(); }
  void fail(const Failure& failure) noexcept override { member_->fail(failure); }
  void awaitTold() noexcept override { member_->awaitTold(); }
  void leave() noexcept override { member_->leave(); }
  bool allLeft() override { return member_->allLeft(); }
  void postAllGather(std::string part) override;
  std::vector<std::string> awaitAllGather(Deadline deadline) override;
  void postSplit(int color, int key, const SharedSettings& settings) override;
  void joinSplit(Deadline deadline) override;
  std::unique_ptr<Group> awaitSplit(Deadline deadline) override;

 private:
  [[nodiscard]] std::vector<CoresOfRank> cores() const;
  void noteAtMember(std::uint64_t exchange, const ExchangeSignature& signature, bool at_once);

  std::shared_ptr<Member> member_;
  std::unique_ptr<ProcessTransport> transport_;
  const Topology topology_;
  const NetworkOptions network_;

  std::string encoded_;           ///< the last signature, whose memory serves the next one; of the thread that drives
  std::uint64_t gatherings_ = 0;  ///< postSplit() and postAllGather() calls so far
  std::unique_ptr<HubOffer> split_hub_;     ///< of the group to come, if this rank turns out to be its first
  std::unique_ptr<Joining> split_joining_;  ///< null if this rank has no part in the group to come
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_PROCESS_GROUP_H_
