// SPDX-License-Identifier: Apache-2.0
#include "schedule_cost/pays.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include "kernels/word.h"
#include "schedule/choose.h"
#include "schedule/slices.h"
#include "schedule_cost/sum.h"

namespace signccl::perf {
namespace {

constexpr int kElementBytes = 4;
constexpr double kBackwardPart = 2.0 / 3;

/// One line of the tables: a network, a model and what is exchanged.
struct Case {
  std::string op;
  Topology topology;
  CostModel model;
  std::size_t count = 0;
};

template <typename Visit>
void forEachCase(const CostOptions& options, const Visit& visit) {
  std::vector<std::optional<double>> rates(options.mbits.begin(), options.mbits.end());
  if (rates.empty()) rates.emplace_back();
  for (const std::string& op : options.ops) {
    for (const double count : options.counts) {
      for (const std::optional<double>& rate : rates) {
        for (const int nranks : options.ranks) {
          visit(Case{op, Topology::uniform(nranks, options.ranks_per_node), modelOf(options, rate),
                     static_cast<std::size_t>(count)});
        }
      }
    }
  }
}

/// Four digits, without an exponent.
std::string milliseconds(double us) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), us >= 1e6 ? "%.0f" : "%.4g", us / 1000);
  return text.data();
}

double gbitPerS(const Case& one) { return 8 / one.model.remote.ns_per_byte; }

void printExchange(const CostOptions& options, const Case& one) {
  const CountRules rules = rulesOf(options, one.op, one.topology.nranks());
  const SignExchange signs = signExchange(one.topology, rules, one.count, one.model, options.memory_gb_per_s);
  const double bytes = static_cast<double>(estimate(signs.algorithm, one.topology, rules, one.count, one.model).bytes);
  const double fp32_us = fastestSumUs(one.topology, one.count, kSumTypes[0].bytes, one.model);
  const double bf16_us = fastestSumUs(one.topology, one.count, kSumTypes[1].bytes, one.model);
  std::printf("| %-4s | %5d | %7.4g | %10.4g | %-12s | %9.3f | %10s | %12s | %9s | %7s | %7s | %5.3g |\n",
              one.op.c_str(), one.topology.nnodes(), gbitPerS(one), static_cast<double>(one.count),
              std::string(algorithmName(signs.algorithm)).c_str(),
              one.count == 0 ? 0 : 8 * bytes / static_cast<double>(one.count), milliseconds(signs.network_us).c_str(),
              milliseconds(signs.local_us).c_str(), milliseconds(signs.total_us).c_str(), milliseconds(fp32_us).c_str(),
              milliseconds(bf16_us).c_str(), bf16_us / signs.total_us);
}

void printStep(const CostOptions& options, const Case& one) {
  const CountRules rules = rulesOf(options, one.op, one.topology.nranks());
  const Step step{
      .compute_us = options.compute_ms * 1000,
      .count = one.count,
      .bucket_count = std::max<std::size_t>(1, static_cast<std::size_t>(options.bucket_mb * 1e6) / kElementBytes)};
  const ExchangeTime fp32 = [&](std::size_t n) { return fastestSumUs(one.topology, n, kSumTypes[0].bytes, one.model); };
  const ExchangeTime bf16 = [&](std::size_t n) { return fastestSumUs(one.topology, n, kSumTypes[1].bytes, one.model); };
  const ExchangeTime signs = [&](std::size_t n) {
    return signExchange(one.topology, rules, n, one.model, options.memory_gb_per_s).total_us;
  };
  std::printf("| %-4s | %5d | %7.4g | %10.4g |", one.op.c_str(), one.topology.nnodes(), gbitPerS(one),
              static_cast<double>(one.count));
  for (const auto& step_us : {stepUs, overlappedStepUs}) {
    const double signs_us = step_us(step, signs);
    const double bf16_us = step_us(step, bf16);
    std::printf(" %13s | %7s | %7s | %5.3g |", milliseconds(step_us(step, fp32)).c_str(), milliseconds(bf16_us).c_str(),
                milliseconds(signs_us).c_str(), bf16_us / signs_us);
  }
  std::printf("\n");
}

}  // namespace

SignExchange signExchange(const Topology& topology, const CountRules& rules, std::size_t count, const CostModel& model,
                          double memory_gb_per_s) {
  SignExchange exchange;
  exchange.algorithm = chooseAlgorithm(topology, rules, count, model);
  exchange.network_us = estimate(exchange.algorithm, topology, rules, count, model).time_us;
  exchange.local_us = 2.0 * kElementBytes * static_cast<double>(count) / memory_gb_per_s / 1000;
  const auto nslices = static_cast<double>(sliceCount(wordsFor(count), model.slice_words, rules));
  exchange.total_us =
      std::max(exchange.network_us, exchange.local_us) + std::min(exchange.network_us, exchange.local_us) / nslices;
  return exchange;
}

double stepUs(const Step& step, const ExchangeTime& exchange) { return step.compute_us + exchange(step.count); }

double overlappedStepUs(const Step& step, const ExchangeTime& exchange) {
  const auto nbuckets = std::ceil(static_cast<double>(step.count) / static_cast<double>(step.bucket_count));
  if (nbuckets == 0) return step.compute_us;
  const double backward_us = step.compute_us * kBackwardPart / nbuckets;
  const double exchange_us = exchange(static_cast<std::size_t>(std::ceil(static_cast<double>(step.count) / nbuckets)));
  return step.compute_us * (1 - kBackwardPart) + backward_us + (nbuckets - 1) * std::max(backward_us, exchange_us) +
         exchange_us;
}

void printPays(const CostOptions& options) {
  std::printf("| %-4s | %5s | %7s | %10s | %-12s | %9s | %10s | %12s | %9s | %7s | %7s | %5s |\n", "op", "nodes",
              "Gbit/s", "elements", "algorithm", "bits sent", "network ms", "en+decode ms", "in all ms", "fp32 ms",
              "bf16 ms", "gain");
  std::printf("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  forEachCase(options, [&](const Case& one) { printExchange(options, one); });
  std::printf("\n| %-4s | %5s | %7s | %10s | %13s | %7s | %7s | %5s | %13s | %7s | %7s | %5s |\n", "op", "nodes",
              "Gbit/s", "elements", "step: fp32 ms", "bf16 ms", "sign ms", "gain", "overlap: fp32", "bf16 ms",
              "sign ms", "gain");
  std::printf("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  forEachCase(options, [&](const Case& one) { printStep(options, one); });
}

}  // namespace signccl::perf
