// SPDX-License-Identifier: Apache-2.0
// What the kernels of a GPU are called with: one struct for each family, passed by value. Addresses are those of the
// device; elements are aligned to their own size, words to 8 bytes. Words that are not aligned to 16 bytes, and numbers
// of Lion steps that are not aligned to four of them, are slower.
#ifndef SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_
#define SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/word.h"

namespace signccl {

/// Kernels::encodeBinary() and, with `positive`, encodeTernary().
struct EncodeArguments {
  const void* elements;
  size_t count;
  Word* positive;  ///< of ternary signs only
  Word* nonnegative;
};

/// Are elements signs? What Kernels::encodeSumBinary() says of them.
struct CheckSignsArguments {
  const void* elements;
  size_t count;
  uint32_t* met;   ///< [2]: the first becomes `value` if zeros are met, the second if others; else they stay
  uint32_t value;  ///< such as the number of a call: then `met` need not be cleared before each one
};

/// The inputs of a count: planes at equal distances, or anywhere.
struct CountInputs {
  ConstPlanes planes;            ///< planes.nplanes is the number of inputs
  const Word* const* addresses;  ///< in device memory, [planes.nplanes]; or nullptr: the inputs are the planes
};

/// Kernels::count(). nwords is that of every plane.
struct CountArguments {
  CountInputs inputs;
  size_t nwords;
  Planes counts;
};

/// Kernels::merge().
struct MergeArguments {
  ConstPlanes a;
  ConstPlanes b;
  size_t nwords;
  Planes sum;
};

/// Kernels::clamp().
struct ClampArguments {
  ConstPlanes in;
  uint64_t low;
  uint64_t high;
  size_t nwords;
  Planes out;
};

/// What counts become in Kernels::decide().
struct Decision {
  uint64_t threshold;
  bool has_ties;
  TieBits ties;
  Word* positive;
  Word* nonnegative;  ///< or nullptr
  /// nullptr; or, of random ties in a CUDA graph, the number of the replay in device memory. In place of a key the ties
  /// then have the number of the call at the capture.
  const uint32_t* replay = nullptr;
};

/// Kernels::decide().
struct DecideArguments {
  ConstPlanes counts;
  Decision decision;
  size_t nwords;
};

/// Kernels::count() and decide() at once, of up to 16 inputs. The results may be inputs.
struct CountDecideArguments {
  CountInputs inputs;
  size_t nwords;
  Decision decision;
};

/// Kernels::restoreTop().
struct RestoreTopArguments {
  ConstPlanes low;
  const Word* own_positive;  ///< or nullptr
  const Word* own_nonnegative;
  size_t nwords;
  Word* top;
};

/// Kernels::decodeVote().
struct DecodeVoteArguments {
  const Word* positive;
  const Word* nonnegative;  ///< of votes with zeros only
  size_t count;
  void* elements;
  const uint32_t* status;  ///< nullptr, or in memory that the device reads: if it is not 0, nothing is written
};

/// Kernels::decodeAvg().
struct DecodeAvgArguments {
  ConstPlanes counts;
  const void* table;  ///< [2^counts.nplanes]
  size_t count;
  void* elements;
  const uint32_t* status;  ///< as in DecodeVoteArguments
};

/// A word that a stream writes, or waits for.
struct WordArguments {
  uint32_t* word;  ///< in memory that the host shares
  uint32_t value;
};

/// A replay of a CUDA graph comes to one of its calls, or leaves it: it is counted.
struct CountReplayArguments {
  uint32_t* replays;  ///< in memory that the host shares: of those before; modulo 2^32
  uint32_t* number;   ///< in device memory, or nullptr: receives the number of this one, from 0
  uint64_t call;      ///< what the call is
  Word* check;        ///< with `number`: receives a word that differs where the call or the replay does
};

/// Ranks compare what they are replaying.
struct CompareReplaysArguments {
  const Word* checks;  ///< [nranks]
  uint32_t nranks;
  uint32_t* status;  ///< in memory that the host shares: receives kReplaysDiffer unless all checks are equal
};
inline constexpr uint32_t kReplaysDiffer = 2;

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_
