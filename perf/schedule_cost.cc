// schedule_cost: what every algorithm costs, from its schedules and from the cost model; nothing is run.
//
//   schedule_cost --ranks 8 64 --count 1e6 --op vote      steps, messages, bytes and modelled time
//   schedule_cost --wire                                  bits per element that the busiest rank sends, as a table
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "schedule/choose.h"
#include "schedule/traffic.h"

namespace {

using namespace signccl;

struct Options {
  std::vector<int> ranks = {2, 4, 8, 16, 32, 64};
  int ranks_per_node = 1;
  double ranks_per_core = 1;
  std::vector<std::string> algorithms;
  std::vector<double> counts = {1e6};
  std::vector<std::string> ops = {"vote", "avg"};
  bool ternary = false;
  std::string link = "tcp10g";
  bool wire = false;
};

const std::map<std::string, CostModel>& models() {
  static const std::map<std::string, CostModel> all = {
      {"loopback", {kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord}},
      {"shm", {kShmLink, kShmLink, kCountNsPerPlaneWord}},
      {"tcp10g", {kShmLink, kTcp10GbitLink, kCountNsPerPlaneWord}},
      {"tcp1g", {kShmLink, kTcp1GbitLink, kCountNsPerPlaneWord}},
  };
  return all;
}

/// `name` was checked by addOptions.
Algorithm algorithmOf(const std::string& name) { return parseAlgorithm(name).value_or(Algorithm::kOneShot); }

void addOptions(CLI::App& app, Options& options) {
  for (const Algorithm algorithm : allAlgorithms()) options.algorithms.emplace_back(algorithmName(algorithm));
  const std::vector<std::string> algorithms = options.algorithms;
  std::vector<std::string> links;
  for (const auto& [name, model] : models()) links.push_back(name);

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
  app.add_option("-l,--link", options.link, "link between nodes; within a node it is shm, or loopback with loopback")
      ->check(CLI::IsMember(links))
      ->capture_default_str();
  app.add_flag("--wire", options.wire,
               "print only the bits per element that the busiest rank sends, for the first count");
}

CountRules rulesOf(const Options& options, const std::string& op, int nranks) {
  const SignOp sign_op = op == "vote" ? SignOp::kVote : SignOp::kAvg;
  return {sign_op, nranks, options.ternary ? 2 : 1, options.ternary && sign_op == SignOp::kVote};
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

void printRow(const Options& options, const std::string& name, const Topology& topology, const std::string& op,
              std::size_t count) {
  const Algorithm algorithm = algorithmOf(name);
  const CountRules rules = rulesOf(options, op, topology.nranks());
  CostModel model = models().at(options.link);
  model.ranks_per_core = options.ranks_per_core;
  const Busiest most = busiest(algorithm, topology, rules, count);
  const bool is_chosen = chooseAlgorithm(topology, rules, count, model) == algorithm;
  std::printf("| %-12s | %-4s | %5d | %5d | %12zu | %7lld | %8lld | %14llu | %8.3f | %8.3f | %14.1f | %-6s |\n",
              name.c_str(), op.c_str(), topology.nranks(), topology.nnodes(), count,
              static_cast<long long>(most.rank.steps), static_cast<long long>(most.rank.messages_sent),
              static_cast<unsigned long long>(most.rank.bytes_sent), bitsPerElement(most.rank.bytes_sent, count),
              bitsPerElement(most.nic_bytes, count), estimate(algorithm, topology, rules, count, model).time_us,
              is_chosen ? "yes" : "");
}

void printCosts(const Options& options) {
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
      }
    }
  }
}

void printWire(const Options& options) {
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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Steps, messages, bytes sent and modelled time of every algorithm. Steps, messages and bytes are those of the "
      "busiest rank, bits are per element; NIC bits are what the ranks of the busiest node send to other nodes.",
      "schedule_cost");
  Options options;
  addOptions(app, options);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::ranges::reverse(arguments);  // the order in which CLI11 takes a vector
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.wire) {
    printWire(options);
  } else {
    printCosts(options);
  }
  return 0;
}
