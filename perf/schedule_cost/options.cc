// SPDX-License-Identifier: Apache-2.0
#include "schedule_cost/options.h"

#include <map>

#include "schedule/algorithm.h"

namespace signccl::perf {
namespace {

const std::map<std::string, CostModel>& models() {
  static const std::map<std::string, CostModel> all = {
      {"loopback", {kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord}},
      {"shm", {kShmLink, kShmLink, kCountNsPerPlaneWord}},
      {"tcp10g", {kShmLink, kTcp10GbitLink, kCountNsPerPlaneWord}},
      {"tcp1g", {kShmLink, kTcp1GbitLink, kCountNsPerPlaneWord}},
  };
  return all;
}

/// Refuses other names of links, and says how other rates are given.
std::string refuseUnknownLink(const std::string& name) {
  if (models().contains(name)) return "";
  std::string known;
  for (const auto& [link, model] : models()) known += (known.empty() ? "" : ", ") + link;
  return "\"" + name + "\" is none of " + known + "; --mbit sets any other rate, as 25000 for 25 Gbit/s";
}

void addLinkOptions(CLI::App& app, CostOptions& options) {
  app.add_option("-l,--link", options.link, "link between nodes; within a node it is shm, or loopback with loopback")
      ->check(refuseUnknownLink, "{loopback,shm,tcp10g,tcp1g}")
      ->capture_default_str();
  app.add_option("--mbit", options.mbits, "rates of the link between nodes in Mbit/s, instead of that of --link")
      ->check(CLI::Range(1.0, 1e8));
  app.add_option("--latency-us", options.latency_us, "latency of that link in us (default 12 for tcp)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--message-us", options.message_us, "processor time for each message in us (default 9 for tcp)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--processor-ns", options.processor_ns_per_byte,
                 "processor time for each byte in ns (default 0.5 for tcp; RDMA: 0)")
      ->check(CLI::Range(0.0, 1e6));
}

void addPayOptions(CLI::App& app, CostOptions& options) {
  app.add_flag("--pays", options.pays,
               "print how long votes and averages take, with encoding and decoding, beside all-reduces of float32 and "
               "bfloat16, and how long a training step takes with each, with overlap and without");
  app.add_option("--memory-gbs", options.memory_gb_per_s,
                 "GB/s at which a rank reads elements to encode and writes decoded ones, for --pays")
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str();
  app.add_option("--compute-ms", options.compute_ms,
                 "forward and backward pass of a step in ms, for --pays; the backward pass is two thirds")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--bucket-mb", options.bucket_mb,
                 "float32 gradients in MB that are exchanged at once, for overlap with --pays")
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str();
}

}  // namespace

void addOptions(CLI::App& app, CostOptions& options) {
  for (const Algorithm algorithm : allAlgorithms()) options.algorithms.emplace_back(algorithmName(algorithm));
  const std::vector<std::string> algorithms = options.algorithms;

  app.add_option("-n,--ranks", options.ranks, "numbers of ranks")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("-g,--ranks-per-node", options.ranks_per_node, "consecutive ranks that share a node and its NIC")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("-k,--ranks-per-core", options.ranks_per_core, "ranks that share a core, for the modelled time")
      ->check(CLI::Range(1.0, 4096.0))
      ->capture_default_str();
  app.add_option("-a,--algorithm", options.algorithms, "algorithms")
      ->check(CLI::IsMember(algorithms))
      ->capture_default_str();
  app.add_option("-c,--count", options.counts, "elements of the vector")
      ->check(CLI::Range(0.0, 1e12))
      ->capture_default_str();
  app.add_option("-o,--op", options.ops, "collectives")
      ->check(CLI::IsMember(std::vector<std::string>{"vote", "avg"}))
      ->capture_default_str();
  app.add_flag("--ternary", options.ternary, "ternary signs, and ties that come back as zeros; default binary");
  addLinkOptions(app, options);
  addPayOptions(app, options);
  app.add_flag("--wire", options.wire,
               "print only the bits per element that the busiest rank sends, for the first count");
}

void requireThatOptionsFit(const CostOptions& options) {
  if (options.mbits.size() > 1 && !options.pays) {
    throw CLI::ValidationError("--mbit", "several rates go with --pays only");
  }
  if (options.pays && options.wire) throw CLI::ValidationError("--pays", "does not go with --wire");
}

CostModel modelOf(const CostOptions& options, std::optional<double> mbit) {
  CostModel model = models().at(options.link);
  if (mbit) model.remote.ns_per_byte = 8e3 / *mbit;
  model.remote.latency_us = options.latency_us.value_or(model.remote.latency_us);
  model.remote.per_message_us = options.message_us.value_or(model.remote.per_message_us);
  model.remote.processor_ns_per_byte = options.processor_ns_per_byte.value_or(model.remote.processor_ns_per_byte);
  model.ranks_per_core = options.ranks_per_core;
  return model;
}

CountRules rulesOf(const CostOptions& options, const std::string& op, int nranks) {
  const SignOp sign_op = op == "vote" ? SignOp::kVote : SignOp::kAvg;
  return {sign_op, nranks, options.ternary ? 2 : 1, options.ternary && sign_op == SignOp::kVote};
}

}  // namespace signccl::perf
