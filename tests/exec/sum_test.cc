// SPDX-License-Identifier: Apache-2.0
// Exchanges of sums: what the values of any rank are is known to all ranks, call by call. Ranks that keep what does not
// fit know it before any sink is written, also beside ranks that discard it.
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/host_engine.h"
#include "kernel_ends.h"
#include "schedule/algorithm.h"
#include "schedule/slices.h"
#include "support/faulty_transport.h"
#include "topology/topology.h"
#include "transport/loopback.h"

namespace signccl {
namespace {

constexpr std::size_t kCalls = 3;

/// A value that a rank has in a call.
struct Spoiled {
  Rank rank = 0;
  std::size_t call = 0;
  std::size_t element = 0;
  std::int8_t value = 0;
};

/// Ranks that sum up elements, in place. Messages are late, and most vectors are cut into more slices than there are
/// lanes.
class Summands {
 public:
  /// Which ranks have their ends outside of the engine.
  enum class External { kNone, kEven, kAll };
  /// Which ranks take slices before they know the others.
  enum class Discarding { kNone, kOdd, kAll };

  Summands(const Topology& topology, External external, Discarding discarding) : topology_(topology) {
    const auto fabric = std::make_shared<LoopbackFabric>(topology.nranks());
    for (Rank rank = 0; rank < topology.nranks(); ++rank) {
      auto transport = std::make_unique<FaultyTransport>(
          std::make_unique<LoopbackTransport>(fabric, rank),
          Faults{.seed = static_cast<std::uint64_t>(rank) + 1, .delay = 0.3, .refuses_to_lend = rank % 2 == 1});
      ranks_.push_back({});
      ranks_.back().engine = std::make_unique<HostEngine>(
          *selectKernels(nullptr), std::move(transport),
          HostEngineOptions{.nthreads = 1 + rank % 2, .slice_bytes = kSliceBytes}, nullptr);
      ranks_.back().is_external = external == External::kAll || (external == External::kEven && rank % 2 == 0);
      ranks_.back().discards = discarding == Discarding::kAll || (discarding == Discarding::kOdd && rank % 2 == 1);
    }
  }

  /// Runs an exchange of three calls, with +1 and -1 in turn but for `spoiled`.
  void exchange(Algorithm algorithm, int votes_per_rank, std::size_t count, const std::vector<Spoiled>& spoiled) {
    const CountRules rules{SignOp::kAvg, topology_.nranks(), votes_per_rank, false};
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      Participant& rank = ranks_[r];
      rank.plans.push_back(
          std::make_unique<Plan>(compilePlan(buildSchedule(algorithm, static_cast<Rank>(r), topology_), rules,
                                             rank.is_external ? EndsKind::kExternal : EndsKind::kOwn)));
      rank.batch.clear();
      rank.batch.exchange = next_exchange_;
      rank.batch.rules = rules;
      rank.batch.is_sum = true;
      rank.batch.discards_misfits = rank.discards;
      rank.data.assign(kCalls, std::vector<std::int8_t>(count));
      for (std::size_t call = 0; call < kCalls; ++call) {
        for (std::size_t e = 0; e < count; ++e) rank.data[call][e] = e % 2 == 0 ? 1 : -1;
        for (const Spoiled& one : spoiled) {
          if (one.rank == static_cast<Rank>(r) && one.call == call) rank.data[call][one.element] = one.value;
        }
        rank.batch.add({.source = elementSource(ElementType::kInt8, rank.data[call].data()),
                        .sink = elementSink(ElementType::kInt8, rank.data[call].data()),
                        .count = count});
      }
      rank.before = rank.data;
      if (rank.is_external) {
        const std::size_t nslices = sliceCount(rank.batch.nwords, kSliceBytes / sizeof(Word), rules);
        rank.ends = std::make_unique<KernelEnds>(rank.batch, nslices, 0.5, r);
        rank.batch.ends = rank.ends.get();
      }
      rank.engine->start(*rank.plans.back(), rank.batch);
    }
    ++next_exchange_;
    const auto is_open = [](const Participant& rank) { return !rank.engine->finished(); };
    while (std::ranges::any_of(ranks_, is_open)) {
      for (const Participant& rank : ranks_) rank.engine->progress();
    }
  }

  /// The call has met `met` on all ranks together, and is written where that fits. Ranks that discard have written
  /// slices that fit, if there are several.
  void expect(std::size_t call, std::uint32_t met, int votes_per_rank, const std::string& where) const {
    std::vector<std::int8_t> sums(ranks_[0].before[call].size());
    for (const Participant& rank : ranks_) {
      std::ranges::transform(sums, rank.before[call], sums.begin(),
                             [](int a, int b) { return static_cast<std::int8_t>(a + b); });
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      const Participant& rank = ranks_[r];
      ASSERT_EQ(metOfSum(rank.engine->notes().all, call), met) << where << ", call " << call << ", rank " << r;
      const bool is_sum = fitsSigns(met, votes_per_rank);
      if (is_sum || !rank.discards) {
        ASSERT_EQ(rank.data[call], is_sum ? sums : rank.before[call]) << where << ", call " << call << ", rank " << r;
      } else {
        expectPieces(rank, call, sums, where);
      }
    }
  }

  [[nodiscard]] std::uint32_t ownMet(Rank rank, std::size_t call) const {
    return metOfSum(ranks_[static_cast<std::size_t>(rank)].engine->notes().own, call);
  }

 private:
  static constexpr std::size_t kSliceBytes = 64;

  struct Participant {
    std::unique_ptr<KernelEnds> ends;  ///< outlives the engine
    std::unique_ptr<HostEngine> engine;
    std::vector<std::unique_ptr<Plan>> plans;  ///< an engine keeps what it derived from the last one
    Batch batch;
    bool is_external = false;
    bool discards = false;
    std::vector<std::vector<std::int8_t>> data;  ///< [call]
    std::vector<std::vector<std::int8_t>> before;
  };

  /// Every word of the call has either been written or been left alone. There is one that has been written if the call
  /// is longer than a slice, unless a rank says of each slice what it has met in all.
  void expectPieces(const Participant& rank, std::size_t call, const std::vector<std::int8_t>& sums,
                    const std::string& where) const {
    const std::size_t count = sums.size();
    for (std::size_t e = 0; e < count; e += kWordBits) {
      const std::size_t n = std::min(kWordBits, count - e);
      const auto got = std::span(rank.data[call]).subspan(e, n);
      ASSERT_TRUE(std::ranges::equal(got, std::span(sums).subspan(e, n)) ||
                  std::ranges::equal(got, std::span(rank.before[call]).subspan(e, n)))
          << where << ", call " << call << ", element " << e;
    }
    const auto tells_slices_apart = [](const Participant& one) { return one.discards && !one.is_external; };
    const bool all_do = std::ranges::all_of(ranks_, tells_slices_apart);
    if (ranks_.size() > 1 && count > 2 * kSliceBytes * 8 && all_do) {
      ASSERT_NE(rank.data[call], rank.before[call]) << where << ", call " << call;
    }
  }

  const Topology topology_;
  std::vector<Participant> ranks_;
  std::uint64_t next_exchange_ = 0;
};

class SumExchangeTest : public ::testing::TestWithParam<Algorithm> {
 protected:
  static void expectOnlyWhatFitsToBeWritten(int nranks, Summands::External external,
                                            const std::vector<std::size_t>& counts,
                                            Summands::Discarding discarding = Summands::Discarding::kNone) {
    Summands summands(
        GetParam() == Algorithm::kHierarchical ? Topology::uniform(nranks, 3) : Topology::singleNode(nranks), external,
        discarding);
    for (const std::size_t count : counts) {
      for (const int votes_per_rank : {1, 2}) {
        for (Rank rank = 0; rank < nranks; ++rank) {
          // Calls 0 and 2 have a zero and a 2, of different ranks and in the slices that are encoded last and first.
          const Rank other = (rank + 1) % nranks;
          summands.exchange(GetParam(), votes_per_rank, count, {{rank, 2, count - 1, 2}, {other, 0, 0, 0}});
          const std::string where = std::to_string(nranks) + " ranks, " + std::to_string(count) + " elements, " +
                                    std::to_string(votes_per_rank) + " votes, rank " + std::to_string(rank);
          ASSERT_NO_FATAL_FAILURE(summands.expect(0, kMetZeros, votes_per_rank, where));
          ASSERT_NO_FATAL_FAILURE(summands.expect(1, 0, votes_per_rank, where));
          ASSERT_NO_FATAL_FAILURE(summands.expect(2, kMetOthers, votes_per_rank, where));
          ASSERT_EQ(summands.ownMet(rank, 2), kMetOthers) << where;
          ASSERT_EQ(summands.ownMet(rank, 0), nranks == 1 ? kMetZeros : 0U) << where;
        }
      }
    }
  }
};

TEST_P(SumExchangeTest, WritesOnlyTheCallsWhoseValuesFitOnAllRanks) {
  for (int nranks = 1; nranks <= 9; ++nranks) {
    ASSERT_NO_FATAL_FAILURE(expectOnlyWhatFitsToBeWritten(nranks, Summands::External::kNone, {1, 500, 6'000}));
  }
}

TEST_P(SumExchangeTest, RanksWhoseEndsAreOutsideOfTheEngineWriteTheSame) {
  for (const int nranks : {1, 2, 3, 5, 8}) {
    for (const Summands::External external : {Summands::External::kEven, Summands::External::kAll}) {
      ASSERT_NO_FATAL_FAILURE(expectOnlyWhatFitsToBeWritten(nranks, external, {1, 2'000}));
    }
  }
}

TEST_P(SumExchangeTest, RanksThatDiscardTakeSlicesAndOthersKnowAllFirst) {
  for (int nranks = 1; nranks <= 9; ++nranks) {
    for (const Summands::Discarding discarding : {Summands::Discarding::kOdd, Summands::Discarding::kAll}) {
      ASSERT_NO_FATAL_FAILURE(
          expectOnlyWhatFitsToBeWritten(nranks, Summands::External::kNone, {1, 500, 6'000}, discarding));
    }
  }
}

TEST_P(SumExchangeTest, RanksWhoseEndsAreOutsideOfTheEngineMayDiscardToo) {
  for (const int nranks : {2, 3, 8}) {
    ASSERT_NO_FATAL_FAILURE(
        expectOnlyWhatFitsToBeWritten(nranks, Summands::External::kEven, {1, 2'000}, Summands::Discarding::kAll));
  }
}

INSTANTIATE_TEST_SUITE_P(All, SumExchangeTest, ::testing::ValuesIn(allAlgorithms()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

}  // namespace
}  // namespace signccl
