// SPDX-License-Identifier: Apache-2.0
// Double binary tree: logarithmic depth and constant work per rank, for small vectors on many ranks. Two chunks, each
// with a tree of its own, laid so that a rank has children in at most one of them (rank 0 in both if N is odd).
//   1 reduce: leaves send signs up; an inner node counts its own signs and its children's votes and sends the counters
//     up
//   2 the root decides, and the result goes down the same tree
// Depth 1 + floor(log2 (N - 1)); a rank receives at most 3 messages and sends 1 per tree on the way up, and the reverse
// on the way down. Bits sent per element, busiest rank: (planes of N / 2 ranks' counters + 1 sign bit + 2 results) / 2.
// Inboxes: 2, or 3 if N is odd; each of one chunk, half of the vector.
//
// Source of the tree: Sanders, Speck, Traeff 2009, "Two-tree algorithms for full bandwidth broadcast, reduction and
// scan".
#include <algorithm>
#include <vector>

#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {
namespace {

constexpr Rank kNone = -1;
constexpr int kNumTrees = 2;

struct Branch {
  Rank rank = kNone;
  int subtree_size = 0;  ///< ranks in the subtree below and including `rank`
  int height = 0;        ///< see heightOf()
};

/// Neighbours of one rank in one tree.
struct Node {
  Rank parent = kNone;
  int subtree_size = 0;
  int height = 0;  ///< see heightOf()
  int depth = 0;   ///< see depthOf()
  std::vector<Branch> children;
};

/// Positions 0 to N - 1 in the order of an in-order walk, apart from the root 0, which sits above: a position of low
/// bit b covers the positions from p - b + 1 to p + b - 1.
int subtreeSize(int position, int nranks) {
  if (position == 0) return nranks;
  const int low_bit = position & -position;
  return std::min(position + low_bit, nranks) - (position - low_bit + 1);
}

int parentOf(int position, int nranks) {
  const int low_bit = position & -position;
  const int above = (position ^ low_bit) | (low_bit << 1);
  return above < nranks ? above : position ^ low_bit;
}

std::vector<int> childrenOf(int position, int nranks) {
  std::vector<int> children;
  // The root's only child is the largest power of two below N; it lies in the root's upper half.
  int reach = position == 0 ? 1 << 30 : (position & -position) / 2;
  if (position != 0 && reach > 0) children.push_back(position - reach);
  while (reach > 0 && reach >= nranks - position) reach /= 2;
  if (reach > 0) children.push_back(position + reach);
  return children;
}

/// The second tree is the first one mirrored (N even) or shifted by one (N odd), which turns leaves into inner nodes.
Rank rankAt(int tree, int position, int nranks) {
  if (tree == 0) return position;
  return nranks % 2 == 0 ? nranks - 1 - position : (position + 1) % nranks;
}

int positionOf(int tree, Rank rank, int nranks) {
  if (tree == 0) return rank;
  return nranks % 2 == 0 ? nranks - 1 - rank : (rank + nranks - 1) % nranks;
}

/// Edges on the longest way from a position down to a leaf.
int heightOf(int position, int nranks) {
  int height = 0;
  for (const int child : childrenOf(position, nranks)) height = std::max(height, 1 + heightOf(child, nranks));
  return height;
}

/// Edges from a position up to the root.
int depthOf(int position, int nranks) {
  int depth = 0;
  for (; position != 0; position = parentOf(position, nranks)) ++depth;
  return depth;
}

Node nodeOf(int tree, Rank rank, int nranks) {
  const int position = positionOf(tree, rank, nranks);
  Node node;
  if (position != 0) node.parent = rankAt(tree, parentOf(position, nranks), nranks);
  node.subtree_size = subtreeSize(position, nranks);
  node.height = heightOf(position, nranks);
  node.depth = depthOf(position, nranks);
  for (const int child : childrenOf(position, nranks)) {
    node.children.push_back({rankAt(tree, child, nranks), subtreeSize(child, nranks), heightOf(child, nranks)});
  }
  return node;
}

}  // namespace

Schedule buildTree(Rank rank, int nranks) {
  ScheduleBuilder builder(rank, nranks, /*nchunks=*/kNumTrees);
  const Node nodes[kNumTrees] = {nodeOf(0, rank, nranks), nodeOf(1, rank, nranks)};

  int inboxes = 0;
  for (int tree = 0; tree < kNumTrees; ++tree) {
    const ChunkRun chunk{tree, 1};
    const Node& node = nodes[tree];
    const int first_inbox = inboxes;
    for (const Branch& child : node.children) {
      builder.enterRound(child.height);
      builder.recvVotes(child.rank, chunk, child.subtree_size, inboxes++);
    }
    if (!node.children.empty() || node.parent == kNone) {
      builder.count(chunk, signsAndInboxes(tree, first_inbox, inboxes - first_inbox));
    }
    if (node.parent == kNone) {
      builder.decide(chunk);
    } else {
      builder.enterRound(node.height);
      builder.sendVotes(node.parent, chunk, node.subtree_size);
    }
  }
  const int rounds_up = heightOf(0, nranks);  // the same in both trees
  for (int tree = 0; tree < kNumTrees; ++tree) {
    const ChunkRun chunk{tree, 1};
    builder.enterRound(rounds_up + nodes[tree].depth - 1);
    if (nodes[tree].parent != kNone) builder.recvResult(nodes[tree].parent, chunk);
    builder.enterRound(rounds_up + nodes[tree].depth);
    for (const Branch& child : nodes[tree].children) builder.sendResult(child.rank, chunk);
  }
  return builder.finish();
}

}  // namespace signccl
