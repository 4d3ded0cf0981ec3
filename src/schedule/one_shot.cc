// SPDX-License-Identifier: Apache-2.0
// One-shot: one phase, for small messages and few ranks.
//   1 send the own signs of the whole vector to everybody, and receive theirs
//   2 count all N sign vectors, decide
// N - 1 messages and N - 1 bits per element and rank (twice that with ternary signs), for vote and avg alike.
// Inboxes: N - 1, each of the whole vector.
#include "schedule/builder.h"
#include "schedule/generators.h"

namespace signccl {

Schedule buildOneShot(Rank rank, int nranks) {
  ScheduleBuilder builder(rank, nranks, /*nchunks=*/1);
  const ChunkRun whole{0, 1};
  const int others = nranks - 1;

  // Rank r sends to r + 1 first, so that no receiver is everybody's first target.
  for (int i = 1; i <= others; ++i) builder.recvVotes((rank + nranks - i) % nranks, whole, 1, i - 1);
  for (int i = 1; i <= others; ++i) builder.sendVotes((rank + i) % nranks, whole, 1);
  builder.count(whole, signsAndInboxes(0, 0, others));
  builder.decide(whole);
  return builder.finish();
}

}  // namespace signccl
