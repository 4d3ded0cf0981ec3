// SPDX-License-Identifier: Apache-2.0
// The Lion objects of one rank for arrays on a device.
//
// To make one takes memory of the device and pinned memory, for which CUDA may wait until the device is idle. So one is
// not made for each step, as it is for arrays in host memory. XLA gives the arrays of a program the same addresses
// again: the same ones in each step where they are donated, else a few sets of them in turn.
#ifndef SIGNCCL_JAX_LION_CACHE_H_
#define SIGNCCL_JAX_LION_CACHE_H_

#include <cstddef>
#include <list>

#include "lion_arrays.h"
#include "signccl/lion.h"

namespace signccl::jax {

/// One thread at a time.
class LionCache {
 public:
  /// Of objects at a time.
  static constexpr std::size_t kMost = 16;

  LionCache() = default;
  ~LionCache() { clear(); }
  LionCache(const LionCache&) = delete;
  LionCache& operator=(const LionCache&) = delete;

  /// Gives the object for these arrays, which belongs to the cache. It is made if there is none; if there are too many
  /// then, the one whose last use is longest ago ends. Its steps that are still on the stream are not disturbed.
  /// Returns the error of signcclLionCreate().
  signcclResult_t find(const LionParts& parts, signcclComm_t comm, signcclLion_t& lion);

  /// Ends all objects.
  void clear();

 private:
  struct Entry {
    LionParts parts;
    signcclLion_t lion;
  };
  std::list<Entry> entries_;  ///< the last used one first
};

}  // namespace signccl::jax

#endif  // SIGNCCL_JAX_LION_CACHE_H_
