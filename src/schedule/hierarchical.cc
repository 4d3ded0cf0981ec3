// SPDX-License-Identifier: Apache-2.0
// Hierarchical: counts within a node before anything leaves it, for several ranks per node or NIC. M nodes, at most G
// ranks each, M G chunks; chunk c is owned by node c mod M. In every node the chunks are shared out in runs among its g
// ranks; with equal nodes, local rank l has the run of the M chunks l M to l M + M - 1, one per owner.
//   1 in the node: send the own signs of each run to the local rank that has it; count the g sign vectors of the own
//     run
//   2 between nodes: send the counters of each chunk of the run to the rank of the owner node that has it, M - 1
//     messages
//   3 owners count the M - 1 others' counters, decide, and send the result back the same way
//   4 in the node: send the results of the own run to the local ranks
// Counters go between nodes, never votes: the majority of the nodes' majorities is not the majority of the ranks.
// Equal nodes: 2 (g - 1) + 2 (M - 1) messages per rank; a node's NIC sends (M - 1) / M (planes of g + 1) bits per
// element for vote, however many ranks it has. One node, or one rank per node, is the direct algorithm. Inboxes: g - 1
// of one run, and M - 1 of one chunk per owned chunk (one with equal nodes).
#include <algorithm>
#include <cstdint>
#include <vector>

#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {
namespace {

class Generator {
 public:
  Generator(Rank rank, const Topology& topology)
      : topology_(topology),
        node_(topology.nodeOf(rank)),
        nnodes_(topology.nnodes()),
        nchunks_(nnodes_ * largestNode(topology)),
        local_rank_(topology.localRank(rank)),
        own_(runOf(node_, local_rank_)),
        builder_(rank, topology.nranks(), nchunks_) {}

  Schedule build() {
    const int held = sizeOf(node_);
    exchangeInNode();
    const int first_inbox = held - 1;
    postBetweenNodes(first_inbox);
    if (held > 1) builder_.count(own_, signsAndInboxes(own_.first, 0, held - 1));
    builder_.enterRound(kVotesBetweenNodes);
    forEachOther(+1, [&](int node) {
      forEachOwnedBy(node, [&](int chunk) { builder_.sendVotes(rankFor(node, chunk), {chunk, 1}, held); });
    });
    decideOwned(first_inbox);
    shareInNode();
    return builder_.finish();
  }

 private:
  enum Round : std::uint8_t { kVotesInNode, kVotesBetweenNodes, kResultsBetweenNodes, kResultsInNode };

  static int largestNode(const Topology& topology) {
    std::size_t largest = 0;
    for (int node = 0; node < topology.nnodes(); ++node) largest = std::max(largest, topology.ranksOf(node).size());
    return static_cast<int>(largest);
  }

  [[nodiscard]] int sizeOf(int node) const { return static_cast<int>(topology_.ranksOf(node).size()); }

  /// Chunks that local rank `local` of `node` collects for its node.
  [[nodiscard]] ChunkRun runOf(int node, int local) const {
    const auto boundary = [&](int before) { return static_cast<int>(std::int64_t{before} * nchunks_ / sizeOf(node)); };
    return {boundary(local), boundary(local + 1) - boundary(local)};
  }

  /// The rank of `node` whose run has `chunk`: the inverse of runOf.
  [[nodiscard]] Rank rankFor(int node, int chunk) const {
    const std::int64_t local = ((std::int64_t{chunk} + 1) * sizeOf(node) - 1) / nchunks_;
    return topology_.ranksOf(node)[static_cast<std::size_t>(local)];
  }

  /// Calls visit(other node) for every other node, starting with the next one in the direction `sign`.
  template <typename Visit>
  void forEachOther(int sign, Visit visit) const {
    for (int i = 1; i < nnodes_; ++i) visit((node_ + nnodes_ + sign * i) % nnodes_);
  }

  /// Calls visit(chunk) for the chunks of the own run that `node` owns, ascending.
  template <typename Visit>
  void forEachOwnedBy(int node, Visit visit) const {
    const int first = own_.first + (node - own_.first % nnodes_ + nnodes_) % nnodes_;
    for (int chunk = first; chunk < own_.end(); chunk += nnodes_) visit(chunk);
  }

  /// Calls visit(peer, its local rank) for the other ranks of the node, starting with the next one in direction `sign`.
  template <typename Visit>
  void forEachLocalPeer(int sign, Visit visit) const {
    const int size = sizeOf(node_);
    for (int i = 1; i < size; ++i) {
      const int local = (local_rank_ + size + sign * i) % size;
      visit(topology_.ranksOf(node_)[static_cast<std::size_t>(local)], local);
    }
  }

  void exchangeInNode() {
    builder_.enterRound(kVotesInNode);
    int next_inbox = 0;
    forEachLocalPeer(-1, [&](Rank peer, int) { builder_.recvVotes(peer, own_, 1, next_inbox++); });
    forEachLocalPeer(+1, [&](Rank peer, int local) { builder_.sendVotes(peer, runOf(node_, local), 1); });
  }

  void postBetweenNodes(int next_inbox) {
    builder_.enterRound(kVotesBetweenNodes);
    forEachOwnedBy(node_, [&](int chunk) {
      forEachOther(-1,
                   [&](int node) { builder_.recvVotes(rankFor(node, chunk), {chunk, 1}, sizeOf(node), next_inbox++); });
    });
    builder_.enterRound(kResultsBetweenNodes);
    forEachOther(-1, [&](int node) {
      forEachOwnedBy(node, [&](int chunk) { builder_.recvResult(rankFor(node, chunk), {chunk, 1}); });
    });
  }

  void decideOwned(int next_inbox) {
    builder_.enterRound(kResultsBetweenNodes);
    forEachOwnedBy(node_, [&](int chunk) {
      std::vector<Slot> sources;
      if (sizeOf(node_) == 1) sources.push_back(signs(chunk));
      for (int i = 1; i < nnodes_; ++i) sources.push_back(inbox(next_inbox++));
      if (!sources.empty()) builder_.count({chunk, 1}, sources);
      builder_.decide({chunk, 1});
      forEachOther(+1, [&](int node) { builder_.sendResult(rankFor(node, chunk), {chunk, 1}); });
    });
  }

  void shareInNode() {
    builder_.enterRound(kResultsInNode);
    forEachLocalPeer(-1, [&](Rank peer, int local) { builder_.recvResult(peer, runOf(node_, local)); });
    forEachLocalPeer(+1, [&](Rank peer, int) { builder_.sendResult(peer, own_); });
  }

  const Topology& topology_;
  int node_;
  int nnodes_;
  int nchunks_;
  int local_rank_;
  ChunkRun own_;
  ScheduleBuilder builder_;
};

}  // namespace

Schedule buildHierarchical(Rank rank, const Topology& topology) { return Generator(rank, topology).build(); }

}  // namespace signccl
