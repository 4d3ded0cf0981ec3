// SPDX-License-Identifier: Apache-2.0
// How a rank gets into its group: it meets the others at a hub, which tells whether they are threads of one process or
// processes.
#ifndef SIGNCCL_COMM_JOIN_H_
#define SIGNCCL_COMM_JOIN_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/group.h"
#include "comm/network_options.h"
#include "comm/transport_maker.h"
#include "control/hub.h"
#include "control/member.h"
#include "control/network_interface.h"
#include "control/unique_id.h"

namespace signccl {

struct JoinOptions {
  MeetingPoint point;
  std::vector<asio::ip::tcp::endpoint> addresses;  ///< of the hub, tried in turn; empty: that of the point
  bool may_be_early = false;                       ///< the hub may not be there yet
  std::string why_dropped;                         ///< see MemberOptions
  Rank rank = 0;
  int nranks = 0;
  SharedSettings settings;
  int ranks_per_node = 0;  ///< 0: ranks of one host share a node
  NetworkOptions network;
  std::shared_ptr<Member> parent;  ///< of a split: in the group that is split, whose failure ends the joining; or null
  /// Makes the transport if the ranks are processes; tests bring their own.
  TransportMaker::Make make_transport = makeProcessTransport;
};

/// What hubs of communicators do. `unused_time`: how long one listens without any rank; unset: forever.
HubOptions hubOptions(std::optional<std::chrono::milliseconds> unused_time);

/// Opens such a hub at the addresses of this host that `network` allows. Throws Error.
std::shared_ptr<Hub> openHub(const NetworkOptions& network, std::optional<std::chrono::milliseconds> unused_time = {});

/// A hub that stops listening when this object is destroyed, unless it is kept.
class HubOffer {
 public:
  explicit HubOffer(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {}
  ~HubOffer() {
    if (!kept_) hub_->close();
  }
  HubOffer(const HubOffer&) = delete;
  HubOffer& operator=(const HubOffer&) = delete;

  [[nodiscard]] const MeetingPoint& meetingPoint() const { return hub_->meetingPoint(); }
  /// Ranks are on their way to it: it ends by itself when they are done.
  void keep() { kept_ = true; }

 private:
  const std::shared_ptr<Hub> hub_;
  bool kept_ = false;
};

/// What to set as UCX_NET_DEVICES for these interfaces; RDMA devices stay allowed where the machine has any.
std::string ucxDevices(const std::vector<NetworkInterface>& interfaces);

class Joining {
 public:
  /// Starts to join; does not wait for the others. Throws Error.
  explicit Joining(const JoinOptions& options);
  /// Gives up, unless finish() was called.
  ~Joining();
  Joining(const Joining&) = delete;
  Joining& operator=(const Joining&) = delete;

  /// Waits for the others. Throws Error: signcclTimeout naming those that have not come, or the failure of the group.
  /// Only the first call.
  std::unique_ptr<Group> finish(Deadline deadline);

 private:
  [[nodiscard]] std::unique_ptr<Group> enterLoopbackGroup(Member& member) const;
  [[nodiscard]] std::unique_ptr<Group> enterProcessGroup(const std::shared_ptr<Member>& member) const;
  void giveUp() noexcept;

  const JoinOptions options_;
  std::shared_ptr<TransportMaker> maker_;
  std::shared_ptr<Member> member_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_JOIN_H_
