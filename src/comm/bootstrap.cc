#include "comm/bootstrap.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace signccl {
namespace {

/// Where the ranks meet if SIGNCCL_COMM_ID says so.
std::optional<MeetingPoint> fixedMeetingPoint(const Settings& settings) {
  const auto address = settings.text("SIGNCCL_COMM_ID");
  if (!address) return std::nullopt;
  MeetingPoint point{resolveAddress("SIGNCCL_COMM_ID", *address), {}};
  const std::string secret = settings.text("SIGNCCL_COMM_SECRET").value_or("");
  if (secret.size() > point.secret.size()) settings.reject("SIGNCCL_COMM_SECRET", "1 to 16 characters");
  std::copy(secret.begin(), secret.end(), point.secret.begin());
  return point;
}

/// Passes rank 0's id to all ranks through the caller's own means.
signcclUniqueId shareUniqueId(int nranks, int rank, const signcclConfig_t& config, const CommOptions& options) {
  signcclUniqueId mine{};
  std::optional<HubOffer> offer;
  if (rank == 0) {
    offer.emplace(openHub(options.network, options.timeout));
    mine = toUniqueId(offer->meetingPoint());
  }
  std::vector<signcclUniqueId> all(static_cast<std::size_t>(nranks));
  const int status = config.allGather(&mine, all.data(), sizeof mine, config.allGatherContext);
  if (status != 0) {
    throw Error(signcclSystemError, "config.allGather returned " + std::to_string(status) + " on rank " +
                                        std::to_string(rank) + ", expected 0");
  }
  if (offer) offer->keep();
  return all.front();
}

}  // namespace

signcclUniqueId makeUniqueId(const Settings& settings, const CommOptions& options) {
  const auto fixed = fixedMeetingPoint(settings);
  return toUniqueId(fixed ? *fixed : openHub(options.network, options.timeout)->meetingPoint());
}

JoinOptions joinOptions(int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config,
                        const CommOptions& options, const Settings& settings) {
  JoinOptions join;
  join.rank = rank;
  join.nranks = nranks;
  join.settings = options.shared();
  join.ranks_per_node = options.ranks_per_node;
  join.network = options.network;
  if (const auto fixed = fixedMeetingPoint(settings)) {
    join.point = *fixed;
    join.may_be_early = true;
    if (rank == 0) Hub::open(fixed->address, fixed->secret, hubOptions(options.timeout));
  } else if (config != nullptr && config->allGather != nullptr) {
    join.point = fromUniqueId(shareUniqueId(nranks, rank, *config, options));
  } else {
    join.point = fromUniqueId(id);
  }
  return join;
}

}  // namespace signccl
