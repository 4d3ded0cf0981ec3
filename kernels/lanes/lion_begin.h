// SPDX-License-Identifier: Apache-2.0
// What a Lion step does before it encodes: hyperparameters, and addresses of gradients, come into device memory.
#ifndef SIGNCCL_KERNELS_LANES_LION_BEGIN_H_
#define SIGNCCL_KERNELS_LANES_LION_BEGIN_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/group.h"
#include "kernels/random_ties.h"

namespace signccl::lanes {

/// Calls body(i) for the i below `count` that fall to the lanes of a warp.
template <typename G, typename Body>
SIGNCCL_WORD_OP void forEachItem(size_t count, WarpIndex warp, const Body& body) {
  for (size_t first = warp.number * kLanes; first < count; first += warp.nwarps * kLanes) {
    G::each([&](int lane) {
      const size_t item = first + static_cast<size_t>(lane);
      if (item < count) body(item);
    });
  }
}

struct LionBeginBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const LionBeginArguments& arguments, WarpIndex warp) {
    forEachItem<G>(arguments.ngroups, warp, [&](size_t group) {
      const LionHyperparameters& values = arguments.values[group];
      LionHyperparameters* const to = arguments.groups + group;
      G::store(&to->betas.beta1, values.betas.beta1);
      G::store(&to->betas.one_minus_beta1, values.betas.one_minus_beta1);
      G::store(&to->betas.beta2, values.betas.beta2);
      G::store(&to->betas.one_minus_beta2, values.betas.one_minus_beta2);
      const float* const rates = arguments.learning_rates;
      G::store(&to->learning_rate, rates == nullptr ? values.learning_rate : G::load(rates + group));
      const float* const decays = arguments.weight_decays;
      G::store(&to->weight_decay, decays == nullptr ? values.weight_decay : G::load(decays + group));
    });
    G::each([&](int lane) {
      if (warp.number != 0 || lane != 0) return;
      const uint32_t found = arguments.found_inf == nullptr ? 0 : G::load(arguments.found_inf);
      const uint32_t skips = (arguments.skips | found << 1) != 0 ? 1 : 0;  // minus zero is zero
      uint64_t call = arguments.call;
      if (arguments.replays != nullptr) {
        const uint64_t replays = G::load(arguments.replays);
        call = replayCall(call, replays);
        G::store(arguments.replays, replays + 1);
      }
      G::store(&arguments.state->rounding_key, lionRoundingKey(arguments.rounding_seed, call));
      G::store(&arguments.state->skips, skips);
      G::store(&arguments.state->unused, uint32_t{0});
      G::store(arguments.host_skips, skips);
    });
  }
};

struct LionGradientsBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const LionGradientsArguments& arguments, WarpIndex warp) {
    forEachItem<G>(arguments.count, warp, [&](size_t item) { G::store(arguments.to + item, arguments.values[item]); });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_BEGIN_H_
