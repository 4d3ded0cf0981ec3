// SPDX-License-Identifier: Apache-2.0
#include "comm/bootstrap.h"

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "comm/job_secret.h"
#include "control/meeting_address.h"

namespace signccl {
namespace {

/// Where the ranks meet if SIGNCCL_COMM_ID says so.
struct FixedPoint {
  MeetingAddress address;
  std::string job;
  JobSecret secret;

  [[nodiscard]] MeetingPoint point() const { return {address.candidates.front(), secret.bytes}; }
};

std::optional<FixedPoint> fixedPoint(const Settings& settings) {
  const auto address = settings.text("SIGNCCL_COMM_ID");
  if (!address) return std::nullopt;
  FixedPoint fixed{resolveMeetingAddress("SIGNCCL_COMM_ID", *address), jobName(jobVariable), {}};
  fixed.secret = jobSecret(settings, fixed.job);
  return fixed;
}

/// Why the process that listens there may have closed the connection of this one.
std::string whyDropped(const FixedPoint& fixed) {
  const std::string who = fixed.secret.is_users ? "has a SIGNCCL_COMM_SECRET"
                          : fixed.job.empty()   ? "has no SIGNCCL_COMM_SECRET and no job that a launcher names"
                                                : "belongs to " + fixed.job;
  return "; perhaps it is of another job, or has another SIGNCCL_COMM_SECRET: this process " + who;
}

/// Whoever reaches a hub without a secret can join.
void warnIfOpen(const FixedPoint& fixed) {
  if (fixed.secret.is_users || fixed.address.listening.address().is_loopback()) return;
  log(LogLevel::kWarn, Subsystem::kBootstrap, 0, "listens for the other ranks at ", toText(fixed.address.listening),
      " without a secret: whoever reaches it can join; set SIGNCCL_COMM_SECRET, the same on all ranks");
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
  const auto fixed = fixedPoint(settings);
  return toUniqueId(fixed ? fixed->point() : openHub(options.network, options.timeout)->meetingPoint());
}

JoinOptions joinOptions(int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config,
                        const CommOptions& options, const Settings& settings) {
  JoinOptions join;
  join.rank = rank;
  join.nranks = nranks;
  join.settings = options.shared();
  join.ranks_per_node = options.ranks_per_node;
  join.network = options.network;
  if (const auto fixed = fixedPoint(settings)) {
    join.point = fixed->point();
    join.addresses = fixed->address.candidates;
    join.may_be_early = true;
    join.why_dropped = whyDropped(*fixed);
    if (rank == 0) {
      warnIfOpen(*fixed);
      Hub::open(fixed->address.listening, fixed->secret.bytes, hubOptions(options.timeout));
    }
  } else if (config != nullptr && config->allGather != nullptr) {
    join.point = fromUniqueId(shareUniqueId(nranks, rank, *config, options));
  } else {
    join.point = fromUniqueId(id);
  }
  return join;
}

}  // namespace signccl
