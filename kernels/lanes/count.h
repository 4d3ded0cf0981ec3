// SPDX-License-Identifier: Apache-2.0
// Votes -> counts; Kernels::count(). Inputs are read once, and every counter stays in registers.
#ifndef SIGNCCL_KERNELS_LANES_COUNT_H_
#define SIGNCCL_KERNELS_LANES_COUNT_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/columns.h"
#include "kernels/word_ops.h"

namespace signccl::lanes {

template <typename G>
SIGNCCL_WORD_OP const Word* inputOf(const CountInputs& inputs, int k) {
  if (inputs.addresses != nullptr) return G::load(inputs.addresses + k);
  return inputs.planes.words + static_cast<size_t>(k) * inputs.planes.stride;
}

/// True if all inputs can be accessed in units of 16 bytes.
template <typename G>
SIGNCCL_WORD_OP bool areAlignedToQuads(const CountInputs& inputs) {
  if (inputs.addresses == nullptr) return isAlignedToQuads(inputs.planes);
  for (int first = 0; first < inputs.planes.nplanes; first += kLanes) {
    typename G::template PerLane<bool> is_misaligned;
    G::each([&](int lane) {
      const int k = first + lane;
      is_misaligned[lane] = k < inputs.planes.nplanes && !isAlignedToQuads(G::load(inputs.addresses + k));
    });
    if (G::ballot(is_misaligned) != 0) return false;
  }
  return true;
}

/// The votes of a column of consecutive inputs, beginning with input `first`.
template <typename G, typename Column>
struct InputVotes {
  const CountInputs& inputs;
  int first;
  Column column;
  SIGNCCL_WORD_OP typename Column::Vec operator()(int k) const {
    return Column::Vec::loadOnce(inputOf<G>(inputs, first + k) + column.first);
  }
};

/// The same, without votes where there are no more inputs.
template <typename G, typename Column>
struct LastInputVotes {
  InputVotes<G, Column> votes;
  SIGNCCL_WORD_OP typename Column::Vec operator()(int k) const {
    return votes.first + k < votes.inputs.planes.nplanes ? votes(k) : Column::Vec::fill(0);
  }
};

/// Exactly kInputs inputs.
template <int kInputs>
struct CountBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const CountArguments& arguments, WarpIndex warp) {
    const bool is_aligned = areAlignedToQuads<G>(arguments.inputs) && isAlignedToQuads(readable(arguments.counts));
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) {
      constexpr int kPlanes = planesFor(kInputs);
      typename decltype(column)::Vec planes[kPlanes];
      sumVotes<kInputs>(InputVotes<G, decltype(column)>{arguments.inputs, 0, column}, planes);
      SIGNCCL_UNROLL
      for (int j = 0; j < kPlanes; ++j) column.store(arguments.counts, j, planes[j]);
    });
  }
};

/// Any number of inputs that kPlanes planes can count. `Unit`: the widest column, as many registers as there are.
template <int kPlanes, typename Unit>
struct CountManyBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const CountArguments& arguments, WarpIndex warp) {
    const auto body = [&](auto column) { countColumn<G>(arguments, column); };
    if constexpr (sizeof(Unit) == sizeof(Quad)) {
      const bool is_aligned = areAlignedToQuads<G>(arguments.inputs) && isAlignedToQuads(readable(arguments.counts));
      forEachColumn<G>(warp, arguments.nwords, is_aligned, body);
    } else {
      forEachColumn<G, Unit>(warp, 0, arguments.nwords, body);
    }
  }

 private:
  /// Inputs that are added at once, with one full adder for each; a block carries one bit into the planes above.
  static constexpr int kBlock = 16;
  static constexpr int kLow = planesFor(kBlock) - 1;

  template <typename G, typename Column>
  SIGNCCL_WORD_OP static void countColumn(const CountArguments& arguments, const Column& column) {
    using Vec = typename Column::Vec;
    const auto& [inputs, nwords, counts] = arguments;
    Vec planes[kPlanes];
    SIGNCCL_UNROLL
    for (int j = 0; j < kPlanes; ++j) planes[j] = Vec::fill(0);
    int first = 0;
    for (; first + kBlock <= inputs.planes.nplanes; first += kBlock) {
      addBlock(InputVotes<G, Column>{inputs, first, column}, planes);
    }
    if (first < inputs.planes.nplanes) {
      addBlock(LastInputVotes<G, Column>{{inputs, first, column}}, planes);
    }
    SIGNCCL_UNROLL
    for (int j = 0; j < kPlanes; ++j) {
      if (j < counts.nplanes) column.store(counts, j, planes[j]);
    }
  }

  template <typename Vec, typename Votes>
  SIGNCCL_WORD_OP static void addBlock(const Votes& votes, Vec* planes) {
    Vec carry = addVotes<kBlock>(votes, planes);
    SIGNCCL_UNROLL
    for (int j = kLow; j < kPlanes; ++j) halfAdd(planes[j], carry, planes[j], carry);
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_COUNT_H_
