// SPDX-License-Identifier: Apache-2.0
// Replays of CUDA graphs: a graph's launches have the arguments of the capture, so what changes from replay to replay
// is counted in memory. One lane works.
#ifndef SIGNCCL_KERNELS_LANES_REPLAY_H_
#define SIGNCCL_KERNELS_LANES_REPLAY_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/group.h"
#include "kernels/random_ties.h"

namespace signccl::lanes {

/// The host, which reads the count, sees everything that the stream wrote before.
struct CountReplayBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const CountReplayArguments& arguments, WarpIndex warp) {
    G::each([&](int lane) {
      if (warp.number != 0 || lane != 0) return;
      const uint32_t number = G::loadRelaxed(arguments.replays);
      if (arguments.number != nullptr) {
        G::store(arguments.number, number);
        G::store(arguments.check, Word{tieKey(arguments.call + number)});
      }
      G::storeRelease(arguments.replays, number + 1);
    });
  }
};

struct CompareReplaysBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const CompareReplaysArguments& arguments, WarpIndex warp) {
    G::each([&](int lane) {
      if (warp.number != 0 || lane != 0) return;
      const Word first = G::load(arguments.checks);
      Word difference = 0;
      for (uint32_t rank = 1; rank < arguments.nranks; ++rank) difference |= first ^ G::load(arguments.checks + rank);
      if (difference != 0) G::storeRelease(arguments.status, kReplaysDiffer);
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_REPLAY_H_
