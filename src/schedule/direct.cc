// SPDX-License-Identifier: Apache-2.0
// Direct: two phases, nearly optimal in bytes; the default for large messages. Rank c owns chunk c of N.
//   1 reduce-scatter: send the own signs of chunk c to rank c; count the N sign vectors of the own chunk at once;
//     decide
//   2 allgather: send the result of the own chunk to everybody
// 2 (N - 1) messages per rank. Bits sent per element and rank, binary: vote 2 (N - 1) / N,
// avg (N - 1) / N (1 + ceil(log2 N)). Inboxes: N - 1, each of one chunk.
#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {

Schedule buildDirect(Rank rank, int nranks) {
  ScheduleBuilder builder(rank, nranks, /*nchunks=*/nranks);
  const ChunkRun own{rank, 1};
  const int others = nranks - 1;
  const auto after = [&](int i) { return (rank + i) % nranks; };
  const auto before = [&](int i) { return (rank + nranks - i) % nranks; };

  for (int i = 1; i <= others; ++i) builder.recvVotes(before(i), own, 1, i - 1);
  for (int i = 1; i <= others; ++i) builder.sendVotes(after(i), {after(i), 1}, 1);
  builder.enterRound(1);
  for (int i = 1; i <= others; ++i) builder.recvResult(before(i), {before(i), 1});
  builder.count(own, signsAndInboxes(rank, 0, others));
  builder.decide(own);
  for (int i = 1; i <= others; ++i) builder.sendResult(after(i), own);
  return builder.finish();
}

}  // namespace signccl
