// SPDX-License-Identifier: Apache-2.0
// Ring: every rank talks to its two neighbours only. N chunks, N - 1 hops per phase.
//   1 reduce-scatter: chunk c starts as the signs of rank c and collects one rank's votes per hop; after hop h its
//     counters hold h + 1 ranks and are as wide as those need (messageRange). Rank c - 1 gets the last votes and
//     decides
//   2 allgather: the results go once around
// 2 (N - 1) messages per rank, one after another. Bits sent per element and rank, binary vote:
// (1/N) sum over k < N of the planes of k ranks' counters, plus (N - 1) / N; about log2 N, a little less thanks to
// clamping. Inboxes: 2, each of one chunk: one is counted while the next hop arrives in the other.
#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {

Schedule buildRing(Rank rank, int nranks) {
  ScheduleBuilder builder(rank, nranks, /*nchunks=*/nranks);
  const Rank next = (rank + 1) % nranks;
  const Rank previous = (rank + nranks - 1) % nranks;
  const int hops = nranks - 1;
  // The chunk that this rank sends at a hop of phase 1; it receives the one of the following hop.
  const auto chunk = [&](int hop) { return ChunkRun{(rank + 2 * nranks - hop) % nranks, 1}; };

  if (hops == 0) builder.count(chunk(0), {signs(rank)});
  for (int hop = 0; hop < hops; ++hop) {
    builder.enterRound(hop);
    builder.recvVotes(previous, chunk(hop + 1), hop + 1, hop % 2);
    builder.sendVotes(next, chunk(hop), hop + 1);
    builder.count(chunk(hop + 1), {signs(chunk(hop + 1).first), inbox(hop % 2)});
  }
  builder.decide(chunk(hops));

  for (int hop = 0; hop < hops; ++hop) {
    builder.enterRound(hops + hop);
    builder.recvResult(previous, chunk(hop));
    builder.sendResult(next, chunk(hop + hops));
  }
  return builder.finish();
}

}  // namespace signccl
