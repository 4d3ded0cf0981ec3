#include "comm/join.h"

#include <map>

#include "base/log.h"
#include "comm/loopback_group.h"
#include "comm/process_group.h"
#include "control/network_interface.h"
#include "host/core_share.h"
#include "host/host_identity.h"

namespace signccl {
namespace {

Topology nodesOf(const JoinOptions& options, const std::vector<RankInfo>& ranks) {
  if (options.ranks_per_node > 0) return Topology::uniform(options.nranks, options.ranks_per_node);
  std::map<std::string, int> numbers;
  std::vector<int> node_of;
  for (const RankInfo& one : ranks) {
    node_of.push_back(numbers.emplace(one.host, static_cast<int>(numbers.size())).first->second);
  }
  return Topology(node_of);
}

}  // namespace

std::shared_ptr<Hub> openHub(const NetworkOptions& network) {
  const std::vector<NetworkInterface> usable = chooseInterfaces(networkInterfaces(), network.socket_ifname);
  if (usable.empty()) throw Error(signcclSystemError, "this machine has no network interface that is up, not even lo");
  return Hub::open({usable.front().address, 0}, makeSecret());
}

Joining::Joining(const JoinOptions& options) : options_(options) {
  const std::vector<NetworkInterface> usable = chooseInterfaces(networkInterfaces(), options.network.socket_ifname);
  MemberOptions member;
  member.point = options.point;
  member.may_be_early = options.may_be_early;
  member.rank = options.rank;
  member.nranks = options.nranks;
  member.info.host = options.network.host_id ? *options.network.host_id : hostIdentity();
  member.info.machine = machineIdentity();
  member.info.cores = usableCores();
  member.info.process = processIdentity();
  member.info.link_mbit = options.network.link_mbit.value_or(usable.empty() ? 0 : usable.front().mbit);
  member.settings = options.settings;
  const ProcessTransportOptions transport{ucxDevices(usable), options.network.ucx_library, options.network.nchannels};
  member.make_address = [made = made_, transport, rank = options.rank, nranks = options.nranks] {
    made->transport = makeProcessTransport(transport, rank, nranks);
    return made->transport->address();
  };
  member_ = Member::join(std::move(member));
  if (options.parent) options.parent->passFailuresTo(member_);
}

Joining::~Joining() {
  if (options_.parent) options_.parent->passFailuresTo(nullptr);
  if (!member_) return;
  member_->fail({signcclRemoteError, "rank " + std::to_string(options_.rank) + " gave up joining the communicator"});
  member_->close();
}

std::unique_ptr<Group> Joining::finish(Deadline deadline) {
  try {
    member_->awaitReady(deadline);
  } catch (...) {
    member_->close();
    member_ = nullptr;
    throw;
  }
  const std::shared_ptr<Member> member = std::move(member_);
  if (member->inOneProcess()) {
    auto group = LoopbackGroup::enter(member->group(), options_.nranks, options_.rank, options_.ranks_per_node);
    member->leave();
    member->close();
    return group;
  }
  made_->transport->setAddresses(member->addresses());
  return std::make_unique<ProcessGroup>(member, std::move(made_->transport), nodesOf(options_, member->ranks()),
                                        options_.network);
}

}  // namespace signccl
