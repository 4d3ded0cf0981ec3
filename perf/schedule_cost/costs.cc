// SPDX-License-Identifier: Apache-2.0
#include "schedule_cost/costs.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "schedule/choose.h"
#include "schedule/traffic.h"
#include "schedule_cost/sum.h"

namespace signccl::perf {
namespace {

/// `name` was checked by addOptions().
Algorithm algorithmOf(const std::string& name) { return parseAlgorithm(name).value_or(Algorithm::kOneShot); }

std::optional<double> onlyRate(const CostOptions& options) {
  return options.mbits.empty() ? std::nullopt : std::optional(options.mbits.front());
}

/// The largest figures of any rank, and of any node.
struct Busiest {
  Traffic rank;
  std::uint64_t nic_bytes = 0;
};

Busiest busiest(Algorithm algorithm, const Topology& topology, const CountRules& rules, std::size_t count) {
  Busiest most;
  std::vector<std::uint64_t> nic_bytes(static_cast<std::size_t>(topology.nnodes()));
  for (Rank rank = 0; rank < topology.nranks(); ++rank) {
    const Traffic one = trafficOf(buildSchedule(algorithm, rank, topology), topology, rules, count);
    most.rank.steps = std::max(most.rank.steps, one.steps);
    most.rank.messages_sent = std::max(most.rank.messages_sent, one.messages_sent);
    most.rank.bytes_sent = std::max(most.rank.bytes_sent, one.bytes_sent);
    nic_bytes[static_cast<std::size_t>(topology.nodeOf(rank))] += one.remote_bytes_sent;
  }
  most.nic_bytes = *std::ranges::max_element(nic_bytes);
  return most;
}

double bitsPerElement(std::uint64_t bytes, std::size_t count) {
  return count == 0 ? 0 : static_cast<double>(bytes) * 8 / static_cast<double>(count);
}

struct Line {
  std::string algorithm;
  std::string op;
  std::size_t count = 0;
  std::int64_t steps = 0;
  std::int64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t nic_bytes = 0;
  double time_us = 0;
  bool is_chosen = false;
};

void print(const Line& line, const Topology& topology) {
  std::printf("| %-12s | %-4s | %5d | %5d | %12zu | %7lld | %8lld | %14llu | %8.3f | %8.3f | %14.1f | %-6s |\n",
              line.algorithm.c_str(), line.op.c_str(), topology.nranks(), topology.nnodes(), line.count,
              static_cast<long long>(line.steps), static_cast<long long>(line.messages),
              static_cast<unsigned long long>(line.bytes), bitsPerElement(line.bytes, line.count),
              bitsPerElement(line.nic_bytes, line.count), line.time_us, line.is_chosen ? "yes" : "");
}

void printRow(const CostOptions& options, const std::string& name, const Topology& topology, const std::string& op,
              std::size_t count) {
  const Algorithm algorithm = algorithmOf(name);
  const CountRules rules = rulesOf(options, op, topology.nranks());
  const CostModel model = modelOf(options, onlyRate(options));
  const Busiest most = busiest(algorithm, topology, rules, count);
  print({.algorithm = name,
         .op = op,
         .count = count,
         .steps = most.rank.steps,
         .messages = most.rank.messages_sent,
         .bytes = most.rank.bytes_sent,
         .nic_bytes = most.nic_bytes,
         .time_us = estimate(algorithm, topology, rules, count, model).time_us,
         .is_chosen = chooseAlgorithm(topology, rules, count, model) == algorithm},
        topology);
}

/// Rings that sum the elements, as NCCL and MPI have them.
void printSums(const CostOptions& options, const Topology& topology, std::size_t count) {
  const CostModel model = modelOf(options, onlyRate(options));
  for (const SumType& type : kSumTypes) {
    const CostEstimate cost = ringSum(topology, count, type.bytes, model);
    print({.algorithm = std::string(type.name) + " ring",
           .op = "sum",
           .count = count,
           .steps = 2 * cost.messages,  // one sent and one received at a time
           .messages = cost.messages,
           .bytes = cost.bytes,
           .nic_bytes = topology.nnodes() > 1 ? cost.bytes : 0,
           .time_us = cost.time_us},
          topology);
  }
}

}  // namespace

void printCosts(const CostOptions& options) {
  std::printf("| %-12s | %-4s | %5s | %5s | %12s | %7s | %8s | %14s | %8s | %8s | %14s | %-6s |\n", "algorithm", "op",
              "ranks", "nodes", "count", "steps", "messages", "bytes", "bits", "NIC bits", "model us", "chosen");
  std::printf("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
  for (const std::string& op : options.ops) {
    for (const double count : options.counts) {
      for (const int nranks : options.ranks) {
        const Topology topology = Topology::uniform(nranks, options.ranks_per_node);
        for (const std::string& name : options.algorithms) {
          printRow(options, name, topology, op, static_cast<std::size_t>(count));
        }
        if (&op == &options.ops.back()) printSums(options, topology, static_cast<std::size_t>(count));
      }
    }
  }
}

void printWire(const CostOptions& options) {
  std::printf("| algorithm    | op   |");
  for (const int nranks : options.ranks) std::printf(" %4d ranks |", nranks);
  std::printf("\n| --- | --- |");
  for (std::size_t i = 0; i < options.ranks.size(); ++i) std::printf(" ---: |");
  std::printf("\n");
  const auto count = static_cast<std::size_t>(options.counts.front());
  for (const std::string& name : options.algorithms) {
    const Algorithm algorithm = algorithmOf(name);
    for (const std::string& op : options.ops) {
      std::printf("| %-12s | %-4s |", name.c_str(), op.c_str());
      for (const int nranks : options.ranks) {
        const Topology topology = Topology::uniform(nranks, options.ranks_per_node);
        const Busiest most = busiest(algorithm, topology, rulesOf(options, op, nranks), count);
        std::printf(" %10.3f |", bitsPerElement(most.rank.bytes_sent, count));
      }
      std::printf("\n");
    }
  }
}

}  // namespace signccl::perf
