// SPDX-License-Identifier: Apache-2.0
// Words by which a stream and the host wait for each other, where the driver has no memory operations for streams. One
// lane works; the other warps and lanes of a launch end at once.
#ifndef SIGNCCL_KERNELS_LANES_WAIT_H_
#define SIGNCCL_KERNELS_LANES_WAIT_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/group.h"

namespace signccl::lanes {

/// Everything that was written before is visible to whoever sees the value.
struct WriteWordBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const WordArguments& arguments, WarpIndex warp) {
    G::each([&](int lane) {
      if (warp.number == 0 && lane == 0) G::storeRelease(arguments.word, arguments.value);
    });
  }
};

/// Waits until the word is at least the value, in the cyclic order of stream memory operations. Whoever writes the word
/// sees to it that this ends.
struct WaitWordBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const WordArguments& arguments, WarpIndex warp) {
    G::each([&](int lane) {
      if (warp.number != 0 || lane != 0) return;
      while (static_cast<int32_t>(G::loadAcquire(arguments.word) - arguments.value) < 0) G::pause();
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_WAIT_H_
