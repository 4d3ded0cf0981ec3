// SPDX-License-Identifier: Apache-2.0
#include "topology/topology.h"

#include <map>

namespace signccl {

Topology Topology::singleNode(int nranks) { return uniform(nranks, nranks); }

Topology Topology::uniform(int nranks, int ranks_per_node) {
  std::vector<int> node_of(static_cast<std::size_t>(nranks));
  for (int rank = 0; rank < nranks; ++rank) node_of[static_cast<std::size_t>(rank)] = rank / ranks_per_node;
  return Topology(node_of);
}

Topology::Topology(const std::vector<int>& node_of) {
  std::map<int, int> number_of;
  for (std::size_t rank = 0; rank < node_of.size(); ++rank) {
    const auto [found, is_new] = number_of.emplace(node_of[rank], static_cast<int>(nodes_.size()));
    if (is_new) nodes_.emplace_back();
    std::vector<Rank>& node = nodes_[static_cast<std::size_t>(found->second)];
    node_of_.push_back(found->second);
    local_rank_.push_back(static_cast<int>(node.size()));
    node.push_back(static_cast<Rank>(rank));
  }
}

}  // namespace signccl
