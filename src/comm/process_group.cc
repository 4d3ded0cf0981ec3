// SPDX-License-Identifier: Apache-2.0
#include "comm/process_group.h"

#include <algorithm>
#include <utility>

#include "comm/join.h"
#include "comm/regroup.h"
#include "control/shared_settings.h"
#include "control/wire.h"

namespace signccl {
namespace {

/// What one rank tells the others about a split.
struct SplitPart {
  SplitRequest request;
  signcclUniqueId hub{};  ///< where to meet, should the rank be the first of its new group
};

std::string encode(const SplitPart& part) {
  const SplitRequest& request = part.request;
  WireWriter writer;
  writer.number(request.color).number(request.key).raw({part.hub.internal, sizeof part.hub.internal});
  write(writer, request.settings);
  return writer.take();
}

SplitPart decodeSplitPart(Rank rank, std::string_view bytes) {
  WireReader reader(bytes);
  SplitPart part;
  part.request.rank = rank;
  part.request.color = reader.number<std::int32_t>();
  part.request.key = reader.number<std::int32_t>();
  const std::string_view id = reader.raw(sizeof part.hub.internal);
  std::copy(id.begin(), id.end(), part.hub.internal);
  part.request.settings = readSharedSettings(reader);
  reader.finish();
  return part;
}

}  // namespace

ProcessGroup::ProcessGroup(std::shared_ptr<Member> member, std::unique_ptr<ProcessTransport> transport,
                           const Topology& topology, NetworkOptions network)
    : member_(std::move(member)), transport_(std::move(transport)), topology_(topology), network_(std::move(network)) {}

ProcessGroup::~ProcessGroup() {
  member_->leave();
  member_->close();
}

/// Views of what the member has.
std::vector<CoresOfRank> ProcessGroup::cores() const {
  std::vector<CoresOfRank> ranks;
  for (const RankInfo& one : member_->ranks()) ranks.push_back({one.machine, one.cores, one.quota});
  return ranks;
}

CoreShare ProcessGroup::coreShare() const { return signccl::coreShare(cores(), rank()); }

CostModel ProcessGroup::costModel() const {
  std::uint32_t slowest = 0;
  for (const RankInfo& one : member_->ranks()) {
    if (one.link_mbit != 0 && (slowest == 0 || one.link_mbit < slowest)) slowest = one.link_mbit;
  }
  LinkCost remote = kTcp10GbitLink;
  if (slowest != 0) remote.ns_per_byte = 8e3 / slowest;
  return {kShmLink, remote, kCountNsPerPlaneWord, mostRanksPerCore(cores())};
}

MeetingPlace ProcessGroup::meetingPlace() const {
  const std::vector<RankInfo>& ranks = member_->ranks();
  const std::uint64_t process = ranks[static_cast<std::size_t>(rank())].process;
  const auto is_here = [&](const RankInfo& one) { return one.process == process; };
  const auto nhere = static_cast<std::size_t>(std::ranges::count_if(ranks, is_here));
  if (nhere == 1) return {};
  const auto before = std::count_if(ranks.begin(), ranks.begin() + rank(), is_here);
  return {ProcessMeeting::of(member_->group(), nhere), static_cast<std::size_t>(before)};
}

void ProcessGroup::begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) {
  if (is_empty) {
    noteAtMember(exchange, signature, /*at_once=*/true);
  } else {
    member_->throwIfLeft(exchange);
  }
}

void ProcessGroup::announce(std::uint64_t exchange, const ExchangeSignature& signature) {
  noteAtMember(exchange, signature, /*at_once=*/false);
}

void ProcessGroup::noteAtMember(std::uint64_t exchange, const ExchangeSignature& signature, bool at_once) {
  encoded_ = encode(signature, std::move(encoded_));
  member_->begin(exchange, encoded_, at_once);
}

void ProcessGroup::postSplit(int color, int key, const SharedSettings& settings) {
  SplitPart part{{rank(), color, key, settings}, {}};
  split_hub_.reset();
  if (color >= 0) {
    split_hub_ = std::make_unique<HubOffer>(openHub(network_));
    part.hub = toUniqueId(split_hub_->meetingPoint());
  }
  member_->gather({Gathering::kSplit, ++gatherings_}, encode(part));
}

void ProcessGroup::postAllGather(std::string part) {
  member_->gather({Gathering::kAllGather, ++gatherings_}, std::move(part));
}

std::vector<std::string> ProcessGroup::awaitAllGather(Deadline deadline) {
  return member_->awaitGathered({Gathering::kAllGather, gatherings_}, deadline);
}

void ProcessGroup::joinSplit(Deadline deadline) {
  const std::unique_ptr<HubOffer> hub = std::move(split_hub_);
  const std::vector<std::string> parts = member_->awaitGathered({Gathering::kSplit, gatherings_}, deadline);
  std::vector<SplitRequest> requests;
  std::vector<signcclUniqueId> hubs;
  for (std::size_t one = 0; one < parts.size(); ++one) {
    SplitPart part = decodeSplitPart(static_cast<Rank>(one), parts[one]);
    requests.push_back(std::move(part.request));
    hubs.push_back(part.hub);
  }
  const SplitRequest& mine = requests[static_cast<std::size_t>(rank())];
  if (mine.color < 0) return;
  const std::vector<Rank> ranks = ranksOfColor(mine.color, requests);
  const auto first = static_cast<std::size_t>(ranks.front());
  for (const Rank other : ranks) {
    const auto failure = objectionTo(requests[first], requests[static_cast<std::size_t>(other)]);
    if (!failure) continue;
    member_->fail(*failure);
    throw FailureError(*failure);
  }
  JoinOptions options;
  options.point = fromUniqueId(hubs[first]);
  options.rank = newRankOf(rank(), ranks);
  options.nranks = static_cast<int>(ranks.size());
  options.settings = mine.settings;
  options.network = network_;
  options.network.host_id = "node " + std::to_string(topology_.nodeOf(rank()));
  options.parent = member_;
  split_joining_ = std::make_unique<Joining>(options);
  if (options.rank == 0) hub->keep();
}

std::unique_ptr<Group> ProcessGroup::awaitSplit(Deadline deadline) {
  const std::unique_ptr<Joining> joining = std::move(split_joining_);
  return joining ? joining->finish(deadline) : nullptr;
}

}  // namespace signccl
