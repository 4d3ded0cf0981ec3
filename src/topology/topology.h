// SPDX-License-Identifier: Apache-2.0
// Which ranks share a node: a value, known alike on every rank.
#ifndef SIGNCCL_TOPOLOGY_TOPOLOGY_H_
#define SIGNCCL_TOPOLOGY_TOPOLOGY_H_

#include <vector>

#include "base/types.h"

namespace signccl {

class Topology {
 public:
  /// All ranks on one node.
  static Topology singleNode(int nranks);

  /// Consecutive ranks share a node, `ranks_per_node` each; the last node may have fewer. For tests and simulations.
  static Topology uniform(int nranks, int ranks_per_node);

  /// node_of[r] is any number that names the node of rank r; nodes are renumbered from 0 by first appearance.
  explicit Topology(const std::vector<int>& node_of);

  [[nodiscard]] int nranks() const { return static_cast<int>(node_of_.size()); }
  [[nodiscard]] int nnodes() const { return static_cast<int>(nodes_.size()); }

  /// Number of the node of `rank`, 0 to nnodes() - 1.
  [[nodiscard]] int nodeOf(Rank rank) const { return node_of_[static_cast<std::size_t>(rank)]; }

  /// Position of `rank` in its node.
  [[nodiscard]] int localRank(Rank rank) const { return local_rank_[static_cast<std::size_t>(rank)]; }

  /// Ranks of a node, ascending.
  [[nodiscard]] const std::vector<Rank>& ranksOf(int node) const { return nodes_[static_cast<std::size_t>(node)]; }

 private:
  std::vector<int> node_of_;
  std::vector<int> local_rank_;
  std::vector<std::vector<Rank>> nodes_;
};

}  // namespace signccl

#endif  // SIGNCCL_TOPOLOGY_TOPOLOGY_H_
