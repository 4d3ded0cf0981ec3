// SPDX-License-Identifier: Apache-2.0
#include "schedule_cost/sum.h"

#include <bit>
#include <cstdint>

namespace signccl::perf {
namespace {

const LinkCost& linkBetween(const Topology& topology, const CostModel& model) {
  return topology.nnodes() > 1 ? model.remote : model.local;
}

std::uint64_t bytesSent(int nranks, std::size_t count, int element_bytes) {
  const auto n = static_cast<std::size_t>(nranks);
  const std::size_t chunk = (count + n - 1) / n;
  return 2 * (n - 1) * chunk * static_cast<std::size_t>(element_bytes);
}

double sumUs(const LinkCost& link, int hops, std::uint64_t bytes) {
  return hops * (link.latency_us + link.per_message_us) + static_cast<double>(bytes) * link.ns_per_byte / 1000;
}

}  // namespace

CostEstimate ringSum(const Topology& topology, std::size_t count, int element_bytes, const CostModel& model) {
  const int hops = 2 * (topology.nranks() - 1);
  const std::uint64_t bytes = bytesSent(topology.nranks(), count, element_bytes);
  return {.messages = hops, .bytes = bytes, .time_us = sumUs(linkBetween(topology, model), hops, bytes)};
}

double fastestSumUs(const Topology& topology, std::size_t count, int element_bytes, const CostModel& model) {
  const auto levels = static_cast<int>(std::bit_width(static_cast<unsigned>(topology.nranks()) - 1U));
  return sumUs(linkBetween(topology, model), 2 * levels, bytesSent(topology.nranks(), count, element_bytes));
}

}  // namespace signccl::perf
