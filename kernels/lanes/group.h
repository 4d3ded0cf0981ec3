// SPDX-License-Identifier: Apache-2.0
// What the bodies of device kernels are written in: a group of 32 lanes that run the same code side by side.
//
// A body is a template over a group `G`. On a GPU the lanes are those of a warp (warp_group.h); on the host they are
// the turns of a loop (host_group.h), so that what a GPU computes is tested bit by bit without one. A group gives
//   G::PerLane<T>             a value for each lane; value[lane] is that of `lane`
//   G::each(body)             calls body(lane) for every lane; what lanes exchange lies between two calls of it
//   G::shuffleXor(x, mask)    gives every lane the value of lane ^ mask
//   G::shuffle(x, source)     gives every lane the value of lane source[lane] modulo 32
//   G::ballot(flags)          a word whose bit `lane` is the flag of the lane, in every lane
//   G::load(p), G::store(p, x)    memory that this or a later kernel reads again
//   G::loadOnce(p)                memory that is read once and that nobody writes meanwhile, but this lane may write it
//                                 afterwards: bypasses the cache
//   G::storeOnce(p, x)            memory that is not read soon
//   G::storeRelease(p, x), G::loadAcquire(p), G::pause()   a word by which the host and a stream wait for each other
//   G::loadRelaxed(p)   a word that the host may write meanwhile
//   G::maskedXor(x, mask, y)      (x & mask) ^ y, as one operation also where mask and y are constants
//   G::select(mask, x, y)         the bits of x where those of the mask are 1, else those of y, also as one operation
//   G::bytes(x, y, which)         four bytes: the lowest four bits of `which` choose the lowest one, and so on; 0 to 3
//                                 are those of x, the lowest first, and 4 to 7 those of y; 8 more give the highest
//                                 bit of the byte eight times
//   G::funnelShift(low, high, n)  the lower 32 bits of the 64 bits of both words, moved down by n, which is below 32
//   G::multiplyWide(x, y)         the product of 64 bits
//   G::add(a, b), G::subtract(a, b), G::multiply(a, b)   of float, rounded once each, never fused
//   G::widenFloat16(pattern)      exactly, to float
//   G::narrowToFloat16Pair(low, high), G::narrowToBFloat16Pair(low, high)
//                                 the patterns of two numbers, the first one in the lower half, rounded to nearest,
//                                 ties to even
//   G::pattern(x)                 that of a float, which is the result of an operation above
//                                 NaN becomes the quiet NaN of the type without sign and payload, in all three
//   G::addLower(x, y)             x plus the lower half of y
//   G::countOnes(word)            the number of bits that are 1
// Addresses are aligned to the size of what they point to. No body uses shared memory, and no warp waits for another
// one: a group is then all there is to test.
#ifndef SIGNCCL_KERNELS_LANES_GROUP_H_
#define SIGNCCL_KERNELS_LANES_GROUP_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/word_ops.h"

/// Before a loop of many turns: so many accesses to memory are on their way at once, and registers suffice.
#if defined(__CUDACC__) || defined(__clang__)
#define SIGNCCL_UNROLL_8 _Pragma("unroll 8")
#else
#define SIGNCCL_UNROLL_8 _Pragma("GCC unroll 8")
#endif

/// Before a loop that a GPU runs as it is written. Otherwise the compiler lets the loads of its next turns begin early,
/// for which there are other warps, and needs so many registers that it keeps some in memory.
#define SIGNCCL_KEEP_LOOP SIGNCCL_UNROLL_BY(1)

/// Before a loop of which a GPU's compiler writes out so many turns, a constant.
#if defined(__CUDACC__)
#define SIGNCCL_PRAGMA(text) _Pragma(#text)
#define SIGNCCL_UNROLL_BY(turns) SIGNCCL_PRAGMA(unroll(turns))
#else
#define SIGNCCL_UNROLL_BY(turns)
#endif

namespace signccl::lanes {

inline constexpr int kLanes = 32;

/// 16 bytes, the most that a lane reads or writes at once.
struct alignas(16) Quad {
  uint32_t words[4];
};

/// 8 bytes.
struct alignas(8) Duo {
  uint32_t words[2];
};

/// Two float32, as patterns, rounded to bfloat16 by integers; for groups that have no instruction. NaN must be that
/// without sign and payload, which stays it.
SIGNCCL_WORD_OP uint32_t bfloat16Pair(uint32_t low, uint32_t high) {
  low += 0x7FFF + (low >> 16 & 1);
  high += 0x7FFF + (high >> 16 & 1);
  return low >> 16 | (high & 0xFFFF'0000);
}

/// Which warp of a launch this is, and of how many.
struct WarpIndex {
  size_t number;
  size_t nwarps;
};

/// Threads of a block, and the warps that they are. Launches have as many blocks as the device runs at once, so that a
/// warp walks over many tiles.
inline constexpr int kBlockThreads = 256;
inline constexpr int kBlockWarps = kBlockThreads / kLanes;

/// Where warp `warp` of block `block` is in a launch of `nblocks` blocks.
SIGNCCL_WORD_OP WarpIndex warpIndex(size_t block, size_t nblocks, size_t warp) {
  return {block * kBlockWarps + warp, nblocks * kBlockWarps};
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_GROUP_H_
