// SPDX-License-Identifier: Apache-2.0
// A rank that vetoes an exchange: no rank takes the result, and every rank knows why.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/host_engine.h"
#include "schedule/algorithm.h"
#include "support/faulty_transport.h"
#include "topology/topology.h"
#include "transport/loopback.h"

namespace signccl {
namespace {

constexpr std::int8_t kUntouched = 99;

/// Ranks that vote on elements which are all positive.
class Voters {
 public:
  explicit Voters(const Topology& topology) : topology_(topology) {
    const int nranks = topology.nranks();
    const auto fabric = std::make_shared<LoopbackFabric>(nranks);
    for (Rank rank = 0; rank < nranks; ++rank) {
      auto transport = std::make_unique<FaultyTransport>(
          std::make_unique<LoopbackTransport>(fabric, rank),
          Faults{.seed = static_cast<std::uint64_t>(rank) + 1, .delay = 0.3, .refuses_to_lend = rank % 2 == 1});
      engines_.push_back(std::make_unique<HostEngine>(*selectKernels(nullptr), std::move(transport),
                                                      HostEngineOptions{.nthreads = 1 + rank % 2, .slice_bytes = 64},
                                                      nullptr));
    }
    batches_.resize(engines_.size());
    plans_.resize(engines_.size());
    results_.resize(engines_.size());
  }

  /// Runs one exchange, in which those of `vetoing` veto.
  void exchange(Algorithm algorithm, SignOp op, std::size_t count, const std::vector<Rank>& vetoing) {
    const CountRules rules{op, topology_.nranks(), 1, false};
    signs_.assign(count, 1);
    for (std::size_t rank = 0; rank < engines_.size(); ++rank) {
      plans_[rank].push_back(
          std::make_unique<Plan>(compilePlan(buildSchedule(algorithm, static_cast<Rank>(rank), topology_), rules)));
      results_[rank].assign(count, kUntouched);
      Batch& batch = batches_[rank];
      batch.clear();
      batch.exchange = next_exchange_;
      batch.rules = rules;
      batch.vetoes = std::ranges::count(vetoing, static_cast<Rank>(rank)) > 0;
      batch.add({.source = elementSource(ElementType::kInt8, signs_.data()),
                 .sink = elementSink(ElementType::kInt8, results_[rank].data()),
                 .count = count});
      engines_[rank]->start(*plans_[rank].back(), batch);
    }
    ++next_exchange_;
    const auto is_open = [](const auto& engine) { return !engine->finished(); };
    while (std::ranges::any_of(engines_, is_open)) {
      for (const auto& engine : engines_) engine->progress();
    }
  }

  void expect(bool is_vetoed, SignOp op, const std::string& where) const {
    const int sum = op == SignOp::kVote ? 1 : topology_.nranks();
    for (std::size_t rank = 0; rank < engines_.size(); ++rank) {
      EXPECT_EQ(engines_[rank]->notes().all, is_vetoed ? kVetoNote : 0) << where << ", rank " << rank;
      const auto expected = is_vetoed ? kUntouched : static_cast<std::int8_t>(sum);
      EXPECT_EQ(std::ranges::count(results_[rank], expected), std::ssize(results_[rank])) << where << ", rank " << rank;
    }
  }

 private:
  const Topology topology_;
  std::vector<std::unique_ptr<HostEngine>> engines_;
  std::vector<std::vector<std::unique_ptr<Plan>>>
      plans_;  ///< [rank]; an engine keeps what it derived from the last one
  std::vector<Batch> batches_;
  std::vector<std::vector<std::int8_t>> results_;
  std::vector<std::int8_t> signs_;
  std::uint64_t next_exchange_ = 0;
};

class VetoTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(VetoTest, OfAnyRankKeepsTheResultFromAllRanks) {
  for (int nranks = 1; nranks <= 9; ++nranks) {
    Voters voters(GetParam() == Algorithm::kHierarchical ? Topology::uniform(nranks, 3) : Topology::singleNode(nranks));
    // One word, so that most ranks have no chunk; one slice; more slices than lanes.
    for (const std::size_t count : {1U, 500U, 6'000U}) {
      for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
        for (Rank rank = 0; rank < nranks; ++rank) {
          const std::string where = std::to_string(nranks) + " ranks, " + std::to_string(count) + " elements, rank " +
                                    std::to_string(rank) + " vetoes";
          voters.exchange(GetParam(), op, count, {rank, nranks - 1});
          voters.expect(true, op, where);
          voters.exchange(GetParam(), op, count, {});
          voters.expect(false, op, "after " + where);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, VetoTest, ::testing::ValuesIn(allAlgorithms()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

}  // namespace
}  // namespace signccl
