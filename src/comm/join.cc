// SPDX-License-Identifier: Apache-2.0
#include "comm/join.h"

#include <exception>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "base/log.h"
#include "comm/loopback_group.h"
#include "comm/process_group.h"
#include "comm/signature.h"
#include "control/meeting_address.h"
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

/// Of each interface.
std::vector<asio::ip::address> firstAddresses(const std::vector<NetworkInterface>& interfaces) {
  std::vector<asio::ip::address> addresses;
  std::set<std::string> names;
  for (const NetworkInterface& one : interfaces) {
    if (names.insert(one.name).second) addresses.push_back(one.address);
  }
  return addresses;
}

}  // namespace

HubOptions hubOptions(std::optional<std::chrono::milliseconds> unused_time) {
  return {.strangers = {}, .unused_time = unused_time, .describe = describeEncoded};
}

std::shared_ptr<Hub> openHub(const NetworkOptions& network, std::optional<std::chrono::milliseconds> unused_time) {
  const std::vector<NetworkInterface> usable = chooseInterfaces(networkInterfaces(), network.socket_ifname);
  if (usable.empty()) throw Error(signcclSystemError, "this machine has no network interface that is up, not even lo");
  HubOptions options = hubOptions(unused_time);
  options.addresses = firstAddresses(usable);
  // Which of several networks reaches the others is not known here, so they try all.
  const bool is_one = options.addresses.size() == 1;
  return Hub::open(is_one ? asio::ip::tcp::endpoint(options.addresses.front(), 0) : everyAddress(0), makeSecret(),
                   options);
}

std::string ucxDevices(const std::vector<NetworkInterface>& interfaces) {
  std::string devices = namesOf(interfaces);
  std::error_code no_rdma;
  for (const auto& device : std::filesystem::directory_iterator("/sys/class/infiniband", no_rdma)) {
    for (const auto& port : std::filesystem::directory_iterator(device.path() / "ports", no_rdma)) {
      devices +=
          (devices.empty() ? "" : ",") + device.path().filename().string() + ":" + port.path().filename().string();
    }
  }
  return devices;
}

Joining::Joining(const JoinOptions& options)
    : options_(options), maker_(std::make_shared<TransportMaker>(options.make_transport)) {
  const std::vector<NetworkInterface> interfaces = networkInterfaces();
  chooseInterfaces(interfaces, options.network.socket_ifname);  // throws here, in the thread of the user
  MemberOptions member;
  member.point = options.point;
  member.addresses = options.addresses;
  member.may_be_early = options.may_be_early;
  member.why_dropped = options.why_dropped;
  member.rank = options.rank;
  member.nranks = options.nranks;
  member.info.host = options.network.host_id ? *options.network.host_id : hostIdentity();
  member.info.machine = machineIdentity();
  member.info.cores = usableCores();
  member.info.process = processIdentity();
  member.info.quota = cpuQuota();
  member.on_connected = [interfaces, known = options.network.link_mbit](RankInfo& info, const auto& local) {
    info.link_mbit = known.value_or(speedAt(interfaces, local));
  };
  member.settings = options.settings;
  member.on_address_wanted = [maker = maker_, interfaces, network = options.network](Member& wanting) {
    const auto used = interfacesForData(interfaces, network.socket_ifname, wanting.reachedAt());
    maker->start(wanting.shared_from_this(), {.net_devices = ucxDevices(used),
                                              .route = describe(used),
                                              .group = wanting.group(),
                                              .ucx_library = network.ucx_library,
                                              .nchannels = network.nchannels});
  };
  member_ = Member::join(std::move(member));
  if (options.parent) options.parent->passFailuresTo(member_);
}

Joining::~Joining() {
  if (options_.parent) options_.parent->passFailuresTo(nullptr);
  if (member_) giveUp();
  maker_->stop();
}

void Joining::giveUp() noexcept {
  member_->fail(failureOr(signcclRemoteError, "out of memory", [&] {
    return Failure{signcclRemoteError,
                   rankName(options_.rank) + " gave up joining the communicator",
                   Failure::Scope::kGroup,
                   {options_.rank}};
  }));
  member_->awaitTold();
  member_->close();
}

std::unique_ptr<Group> Joining::finish(Deadline deadline) {
  const std::shared_ptr<Member> member = std::move(member_);
  try {
    member->awaitReady(deadline);
    return member->inOneProcess() ? enterLoopbackGroup(*member) : enterProcessGroup(member);
  } catch (...) {
    member->awaitTold();
    member->close();
    throw;
  }
}

std::unique_ptr<Group> Joining::enterLoopbackGroup(Member& member) const {
  auto group = LoopbackGroup::enter(member.group(), options_.nranks, options_.rank, options_.ranks_per_node);
  member.leave();
  member.close();
  return group;
}

std::unique_ptr<Group> Joining::enterProcessGroup(const std::shared_ptr<Member>& member) const {
  std::unique_ptr<ProcessTransport> transport = maker_->take();
  transport->setAddresses(member->addresses());
  return std::make_unique<ProcessGroup>(member, std::move(transport), nodesOf(options_, member->ranks()),
                                        options_.network);
}

}  // namespace signccl
