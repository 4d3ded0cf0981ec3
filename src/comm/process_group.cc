#include "comm/process_group.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "comm/join.h"
#include "control/gathering.h"
#include "control/shared_settings.h"
#include "control/wire.h"

namespace signccl {
namespace {

/// What one rank says in a split.
struct Choice {
  Rank rank = 0;
  int color = 0;
  int key = 0;
  SharedSettings settings;
  signcclUniqueId id{};  ///< where its hub is, should it be the first of its group
};

std::string encodeChoice(const Choice& choice) {
  WireWriter writer;
  writer.number(choice.color).number(choice.key).raw({choice.id.internal, sizeof choice.id.internal});
  writer.number(static_cast<std::uint32_t>(choice.settings.size()));
  for (const auto& [name, value] : choice.settings) writer.text(name).text(value);
  return writer.take();
}

Choice decodeChoice(Rank rank, std::string_view bytes) {
  WireReader reader(bytes);
  Choice choice;
  choice.rank = rank;
  choice.color = reader.number<std::int32_t>();
  choice.key = reader.number<std::int32_t>();
  const std::string_view id = reader.raw(sizeof choice.id.internal);
  std::copy(id.begin(), id.end(), choice.id.internal);
  const std::uint32_t nsettings = reader.count(2 * sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < nsettings; ++i) {
    std::string name = reader.text();
    std::string value = reader.text();
    choice.settings.emplace_back(std::move(name), std::move(value));
  }
  reader.finish();
  return choice;
}

/// Ranks of one color, in the order of their new ranks.
std::vector<Choice> choicesOfColor(int color, const std::vector<std::string>& parts) {
  std::vector<Choice> choices;
  for (std::size_t rank = 0; rank < parts.size(); ++rank) {
    Choice choice = decodeChoice(static_cast<Rank>(rank), parts[rank]);
    if (choice.color == color) choices.push_back(std::move(choice));
  }
  std::ranges::sort(choices, {}, [](const Choice& one) { return std::tuple(one.key, one.rank); });
  return choices;
}

}  // namespace

ProcessGroup::ProcessGroup(std::shared_ptr<Member> member, std::unique_ptr<ProcessTransport> transport,
                           const Topology& topology, NetworkOptions network)
    : member_(std::move(member)), transport_(std::move(transport)), topology_(topology), network_(std::move(network)) {}

ProcessGroup::~ProcessGroup() {
  member_->leave();
  member_->close();
  if (split_hub_) split_hub_->close();
}

/// Views of what the member has.
std::vector<CoresOfRank> ProcessGroup::cores() const {
  std::vector<CoresOfRank> ranks;
  for (const RankInfo& one : member_->ranks()) ranks.push_back({one.machine, one.cores});
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

void ProcessGroup::begin(std::uint64_t exchange, const ExchangeSignature& signature, bool is_empty) {
  if (is_empty) {
    member_->begin(exchange, signature, /*at_once=*/true);
  } else {
    member_->throwIfLeft(exchange);
  }
}

void ProcessGroup::announce(std::uint64_t exchange, const ExchangeSignature& signature) {
  member_->begin(exchange, signature, /*at_once=*/false);
}

void ProcessGroup::postSplit(int color, int key, const SharedSettings& settings) {
  Choice choice{rank(), color, key, settings, {}};
  if (color >= 0) {
    split_hub_ = openHub(network_);
    choice.id = toUniqueId(split_hub_->meetingPoint());
  }
  split_settings_ = settings;
  member_->gather(kAddressGathering + ++gatherings_, encodeChoice(choice));
}

std::vector<std::string> ProcessGroup::allGather(std::string part, Deadline deadline) {
  const std::uint64_t number = kAllGathers + ++gatherings_;
  member_->gather(number, std::move(part));
  return member_->awaitGathered(number, deadline);
}

void ProcessGroup::joinSplit(Deadline deadline) {
  const std::shared_ptr<Hub> hub = std::move(split_hub_);
  const std::vector<std::string> parts = member_->awaitGathered(kAddressGathering + gatherings_, deadline);
  const int color = decodeChoice(rank(), parts[static_cast<std::size_t>(rank())]).color;
  if (color < 0) return;
  const std::vector<Choice> choices = choicesOfColor(color, parts);
  const Choice& first = choices.front();
  if (first.rank != rank()) hub->close();
  for (const Choice& other : choices) {
    const auto difference = describeDifference(first.settings, first.rank, other.settings, other.rank);
    if (!difference) continue;
    member_->fail({signcclInvalidUsage, *difference});
    throw Error(signcclInvalidUsage, *difference);
  }
  JoinOptions options;
  options.point = fromUniqueId(first.id);
  options.rank = static_cast<Rank>(std::ranges::find(choices, rank(), &Choice::rank) - choices.begin());
  options.nranks = static_cast<int>(choices.size());
  options.settings = split_settings_;
  options.network = network_;
  options.network.host_id = "node " + std::to_string(topology_.nodeOf(rank()));
  options.parent = member_;
  split_joining_ = std::make_unique<Joining>(options);
}

std::unique_ptr<Group> ProcessGroup::awaitSplit(Deadline deadline) {
  const std::unique_ptr<Joining> joining = std::move(split_joining_);
  return joining ? joining->finish(deadline) : nullptr;
}

}  // namespace signccl
