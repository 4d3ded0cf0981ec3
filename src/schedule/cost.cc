// SPDX-License-Identifier: Apache-2.0
#include "schedule/cost.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/word.h"
#include "schedule/chunk.h"
#include "schedule/knomial.h"
#include "schedule/slices.h"

namespace signccl {
namespace {

int ceilDivide(int a, int b) { return (a + b - 1) / b; }

/// What the estimate needs to know of a topology.
struct Shape {
  int nranks = 1;
  int nnodes = 1;
  int smallest_node = 1;
  int largest_node = 1;
  int ring_exits = 0;  ///< most ranks of a node whose successor is on another node

  explicit Shape(const Topology& topology)
      : nranks(topology.nranks()), nnodes(topology.nnodes()), smallest_node(topology.nranks()) {
    for (int node = 0; node < nnodes; ++node) {
      const std::vector<Rank>& ranks = topology.ranksOf(node);
      const auto size = static_cast<int>(ranks.size());
      smallest_node = std::min(smallest_node, size);
      largest_node = std::max(largest_node, size);
      const auto exits =
          std::ranges::count_if(ranks, [&](Rank rank) { return topology.nodeOf((rank + 1) % nranks) != node; });
      ring_exits = std::max(ring_exits, static_cast<int>(exits));
    }
  }
};

/// Messages that a rank sends at the same time, all of `words` words of `planes` planes.
struct Burst {
  int local = 0;
  int remote = 0;
  int ranks_per_nic = 1;     ///< ranks of a node that send at the same time as this one
  bool is_by_chunk = false;  ///< each goes to or comes from the rank that owns its chunk
  double on_path = 1;        ///< the part of the messages that the others wait for
  double on_average = 1;     ///< messages of the average rank over those of this one
  std::size_t words = 0;
  int planes = 0;
};

class Estimator {
 public:
  Estimator(const Shape& shape, const CountRules& rules, std::size_t count, const CostModel& model)
      : shape_(shape),
        rules_(rules),
        nwords_(wordsFor(count)),
        nslices_(static_cast<double>(sliceCount(nwords_, model.slice_words, rules))),
        model_(model) {}

  CostEstimate oneShot() {
    exchangeWithAll(nwords_, rules_.votes_per_rank, false);
    count(nwords_, shape_.nranks * rules_.votes_per_rank);
    return result();
  }

  CostEstimate direct() {
    const std::size_t chunk = chunkWords(shape_.nranks);
    exchangeWithAll(chunk, rules_.votes_per_rank, true);
    count(chunk, shape_.nranks * rules_.votes_per_rank);
    exchangeWithAll(chunk, resultPlanes(rules_), true);
    return result();
  }

  CostEstimate ring() {
    const std::size_t chunk = chunkWords(shape_.nranks);
    for (int hop = 1; hop < shape_.nranks; ++hop) {
      const int planes = messagePlanes(rules_, hop);
      passOn(chunk, planes);
      count(chunk, planes + rules_.votes_per_rank);
    }
    for (int hop = 1; hop < shape_.nranks; ++hop) passOn(chunk, resultPlanes(rules_));
    return result();
  }

  CostEstimate tree() {
    const std::size_t half = chunkWords(2);
    int levels = 0;
    for (int subtree = 1; subtree < shape_.nranks; subtree = 2 * subtree + 1) ++levels;
    for (int subtree = 1; subtree < shape_.nranks; subtree = 2 * subtree + 1) {
      // Two children send to one parent; results go the other way. What these ranks send in all is counted below.
      const int planes = messagePlanes(rules_, std::min(subtree, shape_.nranks - 1));
      const bool is_local = 2 * subtree <= shape_.largest_node || shape_.nnodes == 1;
      Burst burst{.local = is_local ? 2 : 0,
                  .remote = is_local ? 0 : 2,
                  .on_path = 0.75,  // two received and one sent, or the other way around
                  .on_average = (shape_.nranks - 1.0) / shape_.nranks / levels,
                  .words = half,
                  .planes = planes};
      spend(burst);
      burst.planes = resultPlanes(rules_);
      spend(burst);
      count(half, 2 * planes + rules_.votes_per_rank);
    }
    addBusiestTreeRank(half);
    return result();
  }

  CostEstimate knomial() {
    const int nranks = shape_.nranks;
    for (int group = nranks; group > 1;) {
      const int radix = knomialRadix(group);
      const int part = ceilDivide(group, radix);
      // Ranks of other parts are at least as far away as the part is large.
      const bool is_local = group <= shape_.largest_node || shape_.nnodes == 1;
      Burst burst{.local = is_local ? radix - 1 : 0,
                  .remote = is_local ? 0 : radix - 1,
                  .ranks_per_nic = shape_.largest_node,
                  .is_by_chunk = true,
                  .words = chunkRange(nwords_, nranks, ChunkRun{0, part}).size,
                  .planes = messagePlanes(rules_, std::max(1, nranks / group))};
      send(burst);
      count(burst.words, radix * burst.planes);
      burst.planes = resultPlanes(rules_);
      send(burst);
      group = part;
    }
    return result();
  }

  /// For a rank of a node of `group` ranks.
  CostEstimate hierarchical(int group) {
    const int nnodes = shape_.nnodes;
    const std::size_t run = chunkWords(group);
    const std::size_t chunk = chunkWords(nnodes * shape_.largest_node);
    const int owned = ceilDivide(shape_.largest_node, group);
    const int counted = nnodes == 1 ? 0 : messagePlanes(rules_, group);
    const int decided = resultPlanes(rules_);

    send({.local = group - 1, .words = run, .planes = rules_.votes_per_rank});
    count(run, group * rules_.votes_per_rank);
    Burst between{.remote = (nnodes - 1) * owned, .ranks_per_nic = group, .words = chunk, .planes = counted};
    send(between);
    count(chunk * static_cast<std::size_t>(owned), nnodes * counted);
    between.planes = decided;
    send(between);
    send({.local = group - 1, .words = run, .planes = decided});
    return result();
  }

 private:
  struct Time {
    double latency_us = 0;    ///< of the phases, which those of all slices share
    double path_us = 0;       ///< messages and counts of a slice that follow each other
    double work_us = 0;       ///< messages and counts of a slice of all ranks that share the cores of one
    double link_us = 0;       ///< bytes of all slices on the link
    double processor_us = 0;  ///< what all slices' bytes cost the processor while they are on the link
  };

  [[nodiscard]] CostEstimate result() const { return {total_.messages, total_.bytes, total()}; }

  [[nodiscard]] std::size_t chunkWords(int nchunks) const {
    const auto n = static_cast<std::size_t>(nchunks);
    return nwords_ / n + (nwords_ % n == 0 ? 0 : 1);
  }

  static std::uint64_t bytesOf(const Burst& burst) {
    return burst.words * sizeof(Word) * static_cast<std::uint64_t>(burst.planes);
  }

  /// Time of a burst, and what it sends.
  void send(const Burst& burst) {
    const int messages = burst.local + burst.remote;
    total_.messages += messages;
    total_.bytes += static_cast<std::uint64_t>(messages) * bytesOf(burst);
    spend(burst);
  }

  void spend(const Burst& burst) {
    if (burst.local + burst.remote == 0) return;
    const auto bytes = static_cast<double>(bytesOf(burst));
    const double local_ns = burst.local * bytes * model_.local.ns_per_byte;
    const double remote_ns = burst.remote * bytes * model_.remote.ns_per_byte * burst.ranks_per_nic;
    const double processor_ns =
        model_.ranks_per_core * bytes *
        (burst.local * model_.local.processor_ns_per_byte + burst.remote * model_.remote.processor_ns_per_byte);
    const double messages_us = burst.local * model_.local.per_message_us + burst.remote * model_.remote.per_message_us;
    const Shares shares = sharesOf(burst);
    time_.latency_us += (burst.remote > 0 ? model_.remote : model_.local).latency_us;
    time_.path_us += shares.on_path * messages_us;
    time_.work_us += model_.ranks_per_core * shares.on_average * messages_us;
    time_.link_us += std::max(local_ns, remote_ns) / 1000;
    time_.processor_us += processor_ns / 1000;
  }

  struct Shares {
    double on_path;
    double on_average;
  };

  /// Where there are fewer words than chunks, only the owners of some have work: each talks to all others, who talk to
  /// it alone.
  [[nodiscard]] Shares sharesOf(const Burst& burst) const {
    const auto nchunks = static_cast<std::size_t>(shape_.nranks);
    if (!burst.is_by_chunk || nwords_ >= nchunks) return {burst.on_path, burst.on_average};
    const auto owners = static_cast<double>(std::max<std::size_t>(1, nwords_));
    return {(1 + (owners - 1) / (shape_.nranks - 1)) / 2, owners / shape_.nranks};
  }

  /// Crowded cores hide the latency: there is always somebody with something to do. Messages and counts of a slice go
  /// on while the link works for others, except for those of the first.
  [[nodiscard]] double total() const {
    const double first_us = std::max(time_.latency_us + time_.path_us, time_.work_us);
    const double others_us = (nslices_ - 1) * std::max(time_.path_us, time_.work_us);
    return first_us + std::max(time_.link_us, time_.processor_us + others_us);
  }

  void count(std::size_t words, int planes) {
    const double count_us = static_cast<double>(words) * planes * model_.ns_per_plane_word / 1000 / nslices_;
    time_.path_us += count_us;
    time_.work_us += model_.ranks_per_core * count_us;
  }

  /// One message to every other rank.
  void exchangeWithAll(std::size_t words, int planes, bool is_by_chunk) {
    const int group = shape_.largest_node;
    send({.local = group - 1,
          .remote = shape_.nranks - group,
          .ranks_per_nic = group,
          .is_by_chunk = is_by_chunk,
          .words = words,
          .planes = planes});
  }

  /// One message to the next rank of the ring.
  void passOn(std::size_t words, int planes) {
    const bool is_local = shape_.nnodes == 1;
    send({.local = is_local ? 1 : 0,
          .remote = is_local ? 0 : 1,
          .ranks_per_nic = std::max(shape_.ring_exits, 1),
          .words = words,
          .planes = planes});
  }

  /// An inner node of one tree that is a leaf of the other: the widths have their maximum in the middle of the tree,
  /// because counters near the root are clamped.
  void addBusiestTreeRank(std::size_t half) {
    const int nranks = shape_.nranks;
    if (nranks == 1) return;
    const int decided = resultPlanes(rules_);
    total_.messages = 2;  // of rank 0: the result as root, and votes as leaf
    int planes = decided + rules_.votes_per_rank;
    for (int position = 2; position < nranks; position *= 2) {
      const int subtree = std::min(2 * position, nranks) - 1;
      const int children = position + 1 < nranks ? 2 : 1;
      const int up_and_down = messagePlanes(rules_, subtree) + children * decided;
      // With an odd number of ranks the last position of the second tree is the root of the first one.
      const int elsewhere = position == nranks - 1 ? std::max(decided, rules_.votes_per_rank) : rules_.votes_per_rank;
      planes = std::max(planes, up_and_down + elsewhere);
      total_.messages = std::max<std::int64_t>(total_.messages, 2 + children);
    }
    total_.bytes = half * sizeof(Word) * static_cast<std::uint64_t>(planes);
  }

  Shape shape_;
  CountRules rules_;
  std::size_t nwords_;
  double nslices_;
  CostModel model_;
  Time time_;
  CostEstimate total_;  ///< without the time
};

CostEstimate worse(const CostEstimate& a, const CostEstimate& b) {
  return {std::max(a.messages, b.messages), std::max(a.bytes, b.bytes), std::max(a.time_us, b.time_us)};
}

}  // namespace

CostEstimate estimate(Algorithm algorithm, const Topology& topology, const CountRules& rules, std::size_t count,
                      const CostModel& model) {
  const Shape shape(topology);
  Estimator estimator(shape, rules, count, model);
  switch (algorithm) {
    case Algorithm::kOneShot:
      return estimator.oneShot();
    case Algorithm::kDirect:
      return estimator.direct();
    case Algorithm::kRing:
      return estimator.ring();
    case Algorithm::kTree:
      return estimator.tree();
    case Algorithm::kKnomial:
      return estimator.knomial();
    case Algorithm::kHierarchical:
      return worse(estimator.hierarchical(shape.smallest_node),
                   Estimator(shape, rules, count, model).hierarchical(shape.largest_node));
  }
  throwInternal("unknown algorithm", __FILE__, __LINE__);
}

}  // namespace signccl
