// SPDX-License-Identifier: Apache-2.0
// What the kernels of a Lion step are called with: tables of many tensors, so that one launch serves all of them. See
// arguments.h; lion.h says what the kernels compute. Every address, also those in tables, is the device's.
//
// A tensor has tiles of kTileElements elements of its own, the last one shorter: no tile spans two tensors. The tiles
// of a table are numbered through.
#ifndef SIGNCCL_KERNELS_DEVICE_LION_ARGUMENTS_H_
#define SIGNCCL_KERNELS_DEVICE_LION_ARGUMENTS_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/lion.h"
#include "kernels/word.h"

namespace signccl {

/// A tensor of a table.
struct alignas(16) LionEntry {
  void* numbers;        ///< momenta or parameters, aligned to their own size
  size_t count;         ///< may be 0
  uint64_t first_word;  ///< of its signs, among those of all tensors of the step
  uint64_t group;       ///< index of its hyperparameters
};

/// Hyperparameters of a group. They lie in device memory so that the replay of a graph reads those of its own step.
struct alignas(16) LionHyperparameters {
  LionBetas betas;
  float learning_rate;
  float weight_decay;
};

/// Tensors of the same types, in the order of their words. A step whose tensors have different types has a table for
/// each, whose words have gaps.
struct LionTable {
  const uint32_t* first_tile;  ///< [ntensors], the number of each tensor's first tile; layOutLionTiles() makes it
  const LionEntry* tensors;    ///< [ntensors]
  const LionHyperparameters* groups;
  uint32_t ntensors;  ///< at most 2^26
};

/// Where the gradients of a tensor lie in one step, aligned to their own size; null if they are zeros.
struct LionGradients {
  const void* address;
};

/// Words [begin_word, end_word) of a step, and the tiles of a table that hold some of them; lionRangeOf() makes it.
struct LionRange {
  uint64_t begin_word;
  uint64_t end_word;
  uint32_t begin_tile;
  uint32_t end_tile;
  uint64_t nplaces;  ///< of its words, those that a tile can begin with and end in the range; the first ones
};

/// Kernels::encodeLion() for the elements of a range. If `status` is not null and the word there is not 0, the kernel
/// writes nothing: neither signs nor momenta.
struct LionEncodeArguments {
  LionTable table;  ///< of momenta
  LionRange range;
  const LionGradients* gradients;  ///< [table.ntensors]
  const uint32_t* status;
  Word* positive;  ///< of ternary signs only; word 0 is word range.begin_word of the step
  Word* nonnegative;
};

/// What all kernels that change parameters are given. If `status` or `veto` is not null and the word there is not 0,
/// the kernel writes nothing.
struct LionStepArguments {
  LionTable table;  ///< of parameters
  LionRange range;
  const uint32_t* status;        ///< of the exchange; the host may write it at any time
  const uint64_t* rounding_key;  ///< LionRounding::key, of stochastic rounding only
  const uint32_t* veto;          ///< of the step
};

/// Kernels::decodeVoteLion() for the elements of a range.
struct LionVoteArguments {
  LionStepArguments step;
  const Word* positive;     ///< word 0 is word range.begin_word of the step
  const Word* nonnegative;  ///< of votes with zeros only
};

/// Kernels::decodeAvgLion() for the elements of a range. There are kernels for up to 8 planes, and for up to 16.
struct LionAvgArguments {
  LionStepArguments step;
  const Word* counts;  ///< plane j begins at counts + j * stride with word range.begin_word of the step
  size_t stride;
  int nplanes;         ///< at most those of the kernel
  const float* means;  ///< [2^nplanes]
};

/// What a step reads from device memory beside the numbers of its tensors and the hyperparameters.
struct alignas(8) LionStepState {
  uint64_t rounding_key;  ///< LionRounding::key
  uint32_t skips;         ///< 1: this rank skips the step; else 0
  uint32_t unused;        ///< 0, so that both are one word
};

/// As many groups are given to a kernel at once.
constexpr size_t kLionGroupsAtOnce = 100;
/// As many addresses.
constexpr size_t kLionGradientsAtOnce = 500;

/// Sets up a step: what the host knows travels in the arguments, so that no memory of the host need stay as it is until
/// the stream comes to the kernel, and what only the stream knows is read from device memory.
struct LionBeginArguments {
  LionHyperparameters* groups;  ///< [ngroups] are written
  const float* learning_rates;  ///< [ngroups] in device memory, or nullptr: those of `values`
  const float* weight_decays;   ///< the same
  LionStepState* state;         ///< is written
  uint32_t* host_skips;         ///< in memory that the host reads: receives state->skips, too
  const uint32_t* found_inf;    ///< a float32 in device memory, or nullptr: the rank skips the step unless it is zero
  uint64_t rounding_seed;       ///< see lionRoundingKey()
  uint64_t call;                ///< number of the step's call; of a step in a graph that of its first replay
  uint64_t* replays;            ///< nullptr, or a number that the kernel reads and then increments: the replays so far
  uint32_t skips;               ///< not 0: the rank skips the step anyhow
  uint32_t ngroups;
  LionHyperparameters values[kLionGroupsAtOnce];
};

/// Writes addresses of gradients.
struct LionGradientsArguments {
  LionGradients* to;
  uint64_t count;
  LionGradients values[kLionGradientsAtOnce];
};

// All drivers take 4 KiB of arguments.
static_assert(sizeof(LionBeginArguments) <= 4096 && sizeof(LionGradientsArguments) <= 4096);

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DEVICE_LION_ARGUMENTS_H_
