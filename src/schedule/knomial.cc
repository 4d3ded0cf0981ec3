// SPDX-License-Identifier: Apache-2.0
// K-nomial: recursive halving with up to 8 parts per level, then the same way back; for mid-sized vectors on many
// ranks. N chunks, rank c ends up with the votes of chunk c. A group of ranks (at first all) is responsible for the
// chunks of its members' numbers and is divided into k parts of nearly equal size:
//   1 every rank sends its votes of another part's chunks to one rank of that part, for each other part, and counts
//     what it gets for its own part's chunks; then each part is the group of the next level
//   2 in a group of one the votes are complete: decide
//   3 levels in reverse: every rank sends the results of its part's chunks to those that it had votes from
// 2 sum (k - 1) messages per rank, 2 log_k N of them in sequence, if the parts are equal at every level. With P ranks'
// votes held at a level, bits sent per element and rank, binary vote: sum (k - 1) / (P k) planes(P) + (N - 1) / N,
// below 2.5. Parts that differ in size, by one: the last rank of a larger part has no counterpart in a smaller one, and
// sends to a rank that differs from part to part. So no N needs a special phase, and some ranks send a message more.
// Inboxes: k - 1 per level, fewer than 2 k with unequal parts, each of the part's share of the vector.
#include "schedule/knomial.h"

#include <vector>

#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {
namespace {

/// Messages between this rank and the other parts at one level.
struct Level {
  struct Outgoing {
    Rank peer;
    ChunkRun run;  ///< the chunks of the peer's part
  };
  ChunkRun own;  ///< the chunks of the own part
  std::vector<Outgoing> to;
  std::vector<Rank> from;
};

/// Ranks have the numbers of the chunks that they decide, so runs of chunks are groups of ranks too.
ChunkRun partOf(ChunkRun group, int nparts, int part) {
  const int first = group.first + part * group.count / nparts;
  return {first, group.first + (part + 1) * group.count / nparts - first};
}

int partIndex(ChunkRun group, int nparts, Rank rank) {
  int part = 0;
  while (partOf(group, nparts, part).end() <= rank) ++part;
  return part;
}

/// The rank of part `to` that gets the votes of the rank at `position` of part number `from_part`.
Rank receiverIn(ChunkRun to, int from_part, int position) {
  return to.first + (position < to.count ? position : from_part % to.count);
}

Level divide(ChunkRun group, Rank rank) {
  const int nparts = knomialRadix(group.count);
  const int own_part = partIndex(group, nparts, rank);
  Level level;
  level.own = partOf(group, nparts, own_part);
  for (int i = 1; i < nparts; ++i) {
    const ChunkRun to = partOf(group, nparts, (own_part + i) % nparts);
    level.to.push_back({receiverIn(to, own_part, rank - level.own.first), to});
    const int from_part = (own_part + nparts - i) % nparts;
    const ChunkRun from = partOf(group, nparts, from_part);
    for (int position = 0; position < from.count; ++position) {
      if (receiverIn(level.own, from_part, position) == rank) level.from.push_back(from.first + position);
    }
  }
  return level;
}

/// Brings `held`, the votes that every rank holds, from before a level to after it, for the ranks of `part`.
void passVotes(ChunkRun group, ChunkRun part, std::vector<int>& held) {
  const int nparts = knomialRadix(group.count);
  for (int other = 0; other < nparts; ++other) {
    const ChunkRun from = partOf(group, nparts, other);
    if (from == part) continue;
    for (int position = 0; position < from.count; ++position) {
      const Rank receiver = receiverIn(part, other, position);
      const Rank sender = from.first + position;
      held[static_cast<std::size_t>(receiver)] += held[static_cast<std::size_t>(sender)];
    }
  }
}

/// Levels of the ranks that have most: those in the largest part of each level.
int mostLevels(int size) {
  int levels = 0;
  for (; size > 1; ++levels) {
    const int radix = knomialRadix(size);
    size = (size + radix - 1) / radix;
  }
  return levels;
}

}  // namespace

int knomialRadix(int size) {
  int levels = 1;
  for (int reach = kMaxRadix; reach < size; reach *= kMaxRadix) ++levels;
  const auto suffices = [&](int radix) {
    int reach = 1;
    for (int level = 0; level < levels; ++level) reach *= radix;
    return reach >= size;
  };
  int smallest = 2;
  while (!suffices(smallest)) ++smallest;
  for (int radix = smallest; radix <= kMaxRadix; ++radix) {
    if (size % radix == 0) return radix;
  }
  return smallest;
}

Schedule buildKnomial(Rank rank, int nranks) {
  ScheduleBuilder builder(rank, nranks, /*nchunks=*/nranks);
  std::vector<int> held(static_cast<std::size_t>(nranks), 1);
  const auto held_by = [&](Rank holder) { return held[static_cast<std::size_t>(holder)]; };

  std::vector<Level> levels;
  int inboxes = 0;
  for (ChunkRun group{0, nranks}; group.count > 1; group = levels.back().own) {
    builder.enterRound(static_cast<int>(levels.size()));
    const Level& level = levels.emplace_back(divide(group, rank));
    std::vector<Slot> sources;
    if (held_by(rank) == 1) sources.push_back(signs(level.own.first));
    for (const Rank peer : level.from) {
      sources.push_back(inbox(inboxes));
      builder.recvVotes(peer, level.own, held_by(peer), inboxes++);
    }
    for (const Level::Outgoing& to : level.to) builder.sendVotes(to.peer, to.run, held_by(rank));
    if (!level.from.empty()) builder.count(level.own, sources);
    passVotes(group, level.own, held);
  }
  if (nranks == 1) builder.count({0, 1}, {signs(0)});
  builder.decide({rank, 1});

  const int nlevels = mostLevels(nranks);
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const auto depth = static_cast<int>(levels.rend() - level) - 1;
    builder.enterRound(2 * nlevels - 1 - depth);
    for (const Level::Outgoing& to : level->to) builder.recvResult(to.peer, to.run);
    for (const Rank peer : level->from) builder.sendResult(peer, level->own);
  }
  return builder.finish();
}

}  // namespace signccl
