// SPDX-License-Identifier: Apache-2.0
// The kernels: everything that touches elements or sign words. A leaf: depends on nothing of ours.
//
// One instance of `Kernels` per instruction set, all bit-identical to reference.cc, which is their meaning.
// docs/semantics.md defines signs, ties, means and the Lion step. Contracts that hold for every kernel:
//   - Word i of a plane holds elements 64 i to 64 i + 63, element 64 i first, at bit 0.
//   - Element buffers need no alignment; word buffers are aligned to 8 bytes.
//   - A kernel reads and writes whole words, and exactly the `count` elements it is given. In the last word, bits
//     beyond `count` are written as 0 by encode*, and are never looked at by decode*.
//   - Inputs and outputs do not overlap, unless a comment allows it.
//   - No kernel allocates, logs, throws or keeps state. All may run in many threads at once.
//   - `nwords`, `count` and every number of planes may be 0 unless stated otherwise.
#ifndef SIGNCCL_KERNELS_KERNELS_H_
#define SIGNCCL_KERNELS_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/lion.h"
#include "kernels/word.h"

namespace signccl {

/// Types of elements in user buffers.
enum class ElementType : uint8_t {
  kFloat32,
  kFloat16,
  kBFloat16,
  kFloat64,
  kInt8,
  kInt16,  ///< output of decodeAvg only
  kInt32,  ///< output of decodeAvg only
  kBits,   ///< packed signs; a buffer is a whole number of words
};
inline constexpr int kNumElementTypes = 8;

/// How results are written: into the cache, or past it for outputs much larger than the last-level cache.
enum class Store : uint8_t { kCached, kStreaming };

/// `nplanes` bit planes: bit j of element e's number is bit e % 64 of words[j * stride + e / 64].
/// `Planes` are written, `ConstPlanes` are read. stride >= the nwords of the call; its unit is words.
struct Planes {
  Word* words;
  size_t stride;
  int nplanes;
};
struct ConstPlanes {
  const Word* words;
  size_t stride;
  int nplanes;
};

/// Counts that a kernel decodes.
struct Counts {
  ConstPlanes planes;
  /// nullptr: the counts are complete. Otherwise they are counts of 2^p votes modulo 2^p, p = planes.nplanes, so that 0
  /// may stand for 2^p, and this is the plane of the own votes (ternary: positive), which are 1 where it does. The
  /// complete counts then have one plane more, which restoreTop() would give.
  const Word* own = nullptr;

  Counts(ConstPlanes complete) : planes(complete) {}  // NOLINT(google-explicit-constructor): complete counts are counts
  Counts(ConstPlanes low, const Word* own_votes) : planes(low), own(own_votes) {}

  [[nodiscard]] int nplanes() const { return planes.nplanes + (own == nullptr ? 0 : 1); }
};

/// What tied elements become, a bit for each: 1 is positive. Made by sameTies(), or by randomTies() in random_ties.h.
struct TieBits {
  bool is_random;
  Word word_or_key;     ///< the tie bits of every word; if random, the key of the call
  uint64_t first_word;  ///< if random: the number that the kernel's first word has in the buffer of the call
};

SIGNCCL_WORD_OP constexpr TieBits sameTies(Word word) { return {false, word, 0}; }

/// Longest input list of `count` in one call.
inline constexpr int kMaxCountInputs = 65534;
/// Widest number that any kernel takes.
inline constexpr int kMaxPlanes = 20;

/// What encodeSumBinary() and encodeSumTernary() met beside -1 and +1, as bits.
inline constexpr uint32_t kMetZeros = 1;   ///< elements whose bits are all 0: +0, and the integer 0
inline constexpr uint32_t kMetOthers = 2;  ///< anything else, such as 2, minus zero or NaN

struct Kernels {
  /// scalar, avx2, avx512, neon, or reference.
  const char* name;

  /// True if this machine can run the instance.
  bool (*supported)();

  /// Elements -> one plane, bit = 1 where the element is not below zero (zero, minus zero and NaN give 1).
  /// `type`: a floating-point type, kInt8 or kBits (copied, padding cleared). Float denormals count as what they are,
  /// also with denormals-are-zero set in the thread's control register.
  void (*encodeBinary)(ElementType type, const void* elements, size_t count, Word* nonnegative);

  /// Elements -> two planes: `positive` where the element is above zero, `nonnegative` where it is not below zero; NaN
  /// and zeros are 0 in the first and 1 in the second. kBits has no zeros: both planes are equal to the input.
  /// A sign s is thus two votes whose number is s + 1, and a ternary sum of n signs is a binary count of 2 n votes
  /// minus n.
  void (*encodeTernary)(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative);

  /// Elements that are to be -1 and +1, or also 0 -> one plane or two, and whether they are, in one pass: both give
  /// kMetZeros and kMetOthers. Elements are compared bit by bit. `positive` is 1 where the element is +1, and
  /// `nonnegative` where it is not -1; of encodeSumBinary() where it is +1. So the planes are those of encodeTernary()
  /// if no others are met, and that of encodeBinary() if no zeros are met either. `type`: a floating-point type or
  /// kInt8.
  uint32_t (*encodeSumBinary)(ElementType type, const void* elements, size_t count, Word* nonnegative);
  uint32_t (*encodeSumTernary)(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative);

  /// counts = number of inputs whose bit is set, per element. Carry-save addition, many inputs per pass over memory.
  /// inputs: [ninputs] planes of nwords words. counts.nplanes == planesFor(ninputs); 0 <= ninputs <= kMaxCountInputs.
  void (*count)(const Word* const* inputs, int ninputs, size_t nwords, Planes counts);

  /// sum = a + b modulo 2^sum.nplanes, per element; narrower operands are extended with zeros.
  /// sum may be the same planes as a or b (equal words and stride).
  void (*merge)(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum);

  /// out = min(max(in, low), high) - low, per element. low <= high; out.nplanes == planesFor(high - low). high may
  /// exceed what in.nplanes can hold. out may be the same planes as in.
  void (*clamp)(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out);

  /// Full counts -> vote. With won = count >= threshold and tied = has_ties and count == threshold - 1:
  ///   positive = won | (tied & ties),  nonnegative = won | tied (not written if nullptr).
  /// threshold >= 0; 0 means always won. `positive` or `nonnegative` may be one of the planes of counts.
  void (*decide)(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
                 Word* nonnegative);

  /// Completes counts that travelled modulo 2^p, p = low.nplanes, using that the own vote is among them:
  /// top = bit p of the one number in [own, own + 2^p - 1] that is equal to low modulo 2^p, where own is the number
  /// of set bits among own_positive (nullptr: binary, no such plane) and own_nonnegative. `low` has at least 1 plane
  /// if own_positive is given, and may have 0 otherwise.
  void (*restoreTop)(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top);

  /// Vote planes -> elements: +1 where positive, else 0 where nonnegative, else -1. nonnegative nullptr: no zeros.
  /// `type`: a floating-point type, kInt8, or kBits (positive copied with padding cleared; nonnegative must be
  /// nullptr). elements must not overlap the planes. Streaming is a hint.
  void (*decodeVote)(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements,
                     Store store);

  /// Counts -> elements by table: elements[e] = table[counts[e]]. table: [2^counts.nplanes()] values of `type`, aligned
  /// to 64 bytes. `type`: any but kBits. counts.nplanes() <= 16. kInt8 is for sums of up to 127 ranks: then it is <= 8,
  /// and table[c] is table[0] + c * (table[1] - table[0]) modulo 256 for all counts c that occur.
  void (*decodeAvg)(ElementType type, Counts counts, const void* table, size_t count, void* elements, Store store);

  // A Lion step, whose arithmetic lion.h defines. What the thread's floating-point control register says changes
  // nothing, and neither it nor the flags of exceptions change. Gradients do not overlap what is written.

  /// First pass: gradients and momenta -> the signs of u, as encodeTernary() writes them, or encodeBinary()'s one plane
  /// if positive is nullptr. Momenta become m' in place.
  void (*encodeLion)(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative);

  /// Second pass: parameters become x' in place, with D = +1 where positive, else 0 where nonnegative, else -1
  /// (nonnegative nullptr: no zeros), as in decodeVote().
  void (*decodeVoteLion)(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count);

  /// The same with D = table[counts[e]], as in decodeAvg(). table: [2^counts.nplanes()], aligned to 64 bytes.
  /// counts.nplanes() <= 16.
  void (*decodeAvgLion)(const LionParameters& lion, Counts counts, const float* table, size_t count);
};

/// Bytes that `count` elements of `type` take; kBits: whole words. Always inlined: the files of instruction sets, which
/// include this header, must leave no copy for others to call.
[[gnu::always_inline]] constexpr size_t elementBytes(ElementType type, size_t count) {
  switch (type) {
    case ElementType::kInt8:
      return count;
    case ElementType::kFloat16:
    case ElementType::kBFloat16:
    case ElementType::kInt16:
      return 2 * count;
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4 * count;
    case ElementType::kFloat64:
      return 8 * count;
    case ElementType::kBits:
      return wordsFor(count) * sizeof(Word);
  }
  return 0;
}

/// The plain element-by-element definition of every kernel: slow, obvious, not in supportedKernels().
const Kernels& referenceKernels();

/// A list of instances, ended by `count`.
struct KernelsList {
  const Kernels* const* instances;
  size_t count;
};

/// Every instance of this build, best first, whether or not this machine supports it.
KernelsList builtKernels();

/// Every instance that this machine supports, best first; never empty, the last is scalar. Computed once.
KernelsList supportedKernels();

/// The instance named `name`, or the best one if name is nullptr or empty; nullptr if this machine does not support it
/// or no instance has that name. The library passes the setting SIGNCCL_KERNELS.
const Kernels* selectKernels(const char* name);

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_KERNELS_H_
