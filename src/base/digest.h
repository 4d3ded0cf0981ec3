// SPDX-License-Identifier: Apache-2.0
// Digests of what ranks compare: the same on every machine, and no protection against intent.
#ifndef SIGNCCL_BASE_DIGEST_H_
#define SIGNCCL_BASE_DIGEST_H_

#include <cstdint>

namespace signccl {

/// Takes one more number into a digest: xor, then the mixing steps of splitmix64, each of which is a bijection.
constexpr std::uint64_t mix(std::uint64_t digest, std::uint64_t value) {
  std::uint64_t mixed = (digest ^ value) + 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  return mixed ^ (mixed >> 31U);
}

}  // namespace signccl

#endif  // SIGNCCL_BASE_DIGEST_H_
