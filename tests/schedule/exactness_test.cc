// SPDX-License-Identifier: Apache-2.0
// Runs the schedules of all ranks with real numbers: counters are clamped and offset as messages are, and every rank
// must end with the exact result. Where verify_test proves that every vote arrives, this shows that the widths carry
// it.
#include <algorithm>
#include <map>
#include <random>
#include <span>
#include <utility>

#include <gtest/gtest.h>

#include "build_all.h"
#include "schedule/width.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// One number per chunk of a run.
using Numbers = std::vector<std::int64_t>;

/// Vote: -1, 0 or +1 for each chunk. Avg: the count.
std::int64_t decideOne(const CountRules& rules, std::int64_t count) {
  if (rules.op == SignOp::kAvg) return count;
  return 2 * count < rules.totalVotes() ? -1 : 2 * count > rules.totalVotes() ? 1 : 0;
}

class Player {
 public:
  Player(const Schedule& schedule, const CountRules& rules, Numbers signs)
      : schedule_(schedule),
        rules_(rules),
        signs_(std::move(signs)),
        counts_(signs_.size()),
        inboxes_(static_cast<std::size_t>(schedule.ninboxes)),
        results_(signs_.size(), kMissing) {}

  /// Every message that was sent, by (from, to).
  using Mail = std::map<std::pair<Rank, Rank>, std::vector<Numbers>>;

  /// Takes what has arrived and runs steps until one needs what has not. Returns whether anything happened.
  bool play(Mail& mail) {
    const auto arrived = std::erase_if(pending_, [&](const Pending& pending) {
      const std::vector<Numbers>& sent = mail[{pending.recv.peer, schedule_.rank}];
      if (pending.ordinal >= sent.size()) return false;
      receive(pending.recv, sent[pending.ordinal]);
      return true;
    });
    const std::size_t before = next_;
    while (next_ < schedule_.steps.size() && isReady(schedule_.steps[next_])) play(schedule_.steps[next_++], mail);
    return arrived > 0 || next_ > before;
  }

  [[nodiscard]] bool finished() const { return next_ == schedule_.steps.size() && pending_.empty(); }
  [[nodiscard]] const Numbers& results() const { return results_; }

 private:
  static constexpr std::int64_t kMissing = -1000000;

  /// A receive that was posted: the `ordinal`-th message of its peer.
  struct Pending {
    Step recv;
    std::size_t ordinal;
  };

  [[nodiscard]] bool isPending(Slot slot) const {
    return std::ranges::any_of(pending_, [&](const Pending& pending) { return pending.recv.slot == slot; });
  }

  [[nodiscard]] bool isReady(const Step& step) const {
    const auto run =
        std::span(results_).subspan(static_cast<std::size_t>(step.chunk), static_cast<std::size_t>(step.nchunks));
    if (step.kind == StepKind::kSend && step.slot.kind == SlotKind::kResult) {
      return std::ranges::find(run, kMissing) == run.end();
    }
    if (step.kind != StepKind::kCount) return true;
    return std::ranges::none_of(schedule_.sourcesOf(step), [&](Slot source) { return isPending(source); });
  }

  void play(const Step& step, Mail& mail) {
    const auto first = static_cast<std::size_t>(step.chunk);
    const auto end = first + static_cast<std::size_t>(step.nchunks);
    switch (step.kind) {
      case StepKind::kSend:
        mail[{schedule_.rank, step.peer}].push_back(messageOf(step));
        return;
      case StepKind::kRecv:
        pending_.push_back({step, received_[step.peer]++});
        return;
      case StepKind::kCount:
        for (const Slot& source : schedule_.sourcesOf(step)) {
          for (std::size_t chunk = first; chunk < end; ++chunk) {
            counts_[chunk] += source.kind == SlotKind::kSigns
                                  ? signs_[chunk]
                                  : inboxes_[static_cast<std::size_t>(source.index)][chunk - first];
          }
        }
        return;
      case StepKind::kDecide:
        for (std::size_t chunk = first; chunk < end; ++chunk) results_[chunk] = decideOne(rules_, counts_[chunk]);
        return;
    }
  }

  Numbers messageOf(const Step& step) {
    const Numbers& source = step.slot.kind == SlotKind::kSigns    ? signs_
                            : step.slot.kind == SlotKind::kCounts ? counts_
                                                                  : results_;
    Numbers message(source.begin() + step.chunk, source.begin() + step.chunk + step.nchunks);
    if (step.slot.kind != SlotKind::kCounts) return message;
    const CountRange range = messageRange(rules_, step.votes);
    for (std::int64_t& number : message) {
      number = std::clamp(number, range.low, range.high) - range.low;
      EXPECT_LT(number, std::int64_t{1} << messagePlanes(rules_, step.votes));
    }
    return message;
  }

  void receive(const Step& step, Numbers message) {
    if (step.slot.kind == SlotKind::kResult) {
      std::ranges::copy(message, results_.begin() + step.chunk);
      return;
    }
    if (step.votes > 1) {
      for (std::int64_t& number : message) number += messageRange(rules_, step.votes).low;
    }
    inboxes_[static_cast<std::size_t>(step.slot.index)] = std::move(message);
  }

  const Schedule& schedule_;
  CountRules rules_;
  Numbers signs_;
  Numbers counts_;
  std::vector<Numbers> inboxes_;
  Numbers results_;
  std::vector<Pending> pending_;
  std::map<Rank, std::size_t> received_;
  std::size_t next_ = 0;
};

/// Votes near a tie in most chunks and unanimous in some, so that both clamps and the tie are met.
Numbers drawVotes(std::mt19937& random, std::size_t nchunks, int votes_per_rank) {
  Numbers votes(nchunks);
  for (std::size_t chunk = 0; chunk < nchunks; ++chunk) {
    const int lean = static_cast<int>(chunk % 5);
    for (int vote = 0; vote < votes_per_rank; ++vote) votes[chunk] += static_cast<int>(random() % 4) < lean ? 1 : 0;
  }
  return votes;
}

void expectExactResults(Algorithm algorithm, const Topology& topology, const CountRules& rules) {
  const std::vector<Schedule> schedules = buildAll(algorithm, topology);
  const auto nchunks = static_cast<std::size_t>(schedules[0].nchunks);
  std::mt19937 random(static_cast<unsigned>(topology.nranks()));
  Numbers sums(nchunks);
  std::vector<Player> players;
  for (const Schedule& schedule : schedules) {
    const Numbers votes = drawVotes(random, nchunks, rules.votes_per_rank);
    for (std::size_t chunk = 0; chunk < nchunks; ++chunk) sums[chunk] += votes[chunk];
    players.emplace_back(schedule, rules, votes);
  }
  Numbers expected;
  for (const std::int64_t sum : sums) expected.push_back(decideOne(rules, sum));

  Player::Mail mail;
  for (bool any = true; any;) {
    any = false;
    for (Player& player : players) any = player.play(mail) || any;
  }
  for (const Player& player : players) {
    ASSERT_TRUE(player.finished()) << nameOf(algorithm, topology);
    ASSERT_EQ(player.results(), expected) << nameOf(algorithm, topology);
  }
}

class ExactnessTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(ExactnessTest, EveryRankGetsTheExactResult) {
  for (int nranks = 1; nranks <= 40; nranks += kSanitized ? 3 : 1) {
    for (const Topology& topology : topologiesOf(nranks)) {
      for (const int votes_per_rank : {1, 2}) {
        expectExactResults(GetParam(), topology, {SignOp::kVote, nranks, votes_per_rank, true});
        expectExactResults(GetParam(), topology, {SignOp::kAvg, nranks, votes_per_rank, false});
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, ExactnessTest, ::testing::ValuesIn(allAlgorithms().begin(), allAlgorithms().end()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

}  // namespace
}  // namespace signccl
