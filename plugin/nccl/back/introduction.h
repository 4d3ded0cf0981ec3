// SPDX-License-Identifier: Apache-2.0
// What ranks tell each other before any of their calls is taken, over NCCL's own all-gather.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCTION_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCTION_H_

#include <cstdint>
#include <span>
#include <string>

#include "signccl/signccl.h"

namespace signccl::nccl_preload {

/// One rank's part. Travels as it is: all ranks are of one architecture, as NCCL demands.
struct Introduction {
  static constexpr std::uint64_t kGreeting = 0x5167cc01'6e63636cU;  ///< changes with this struct

  std::uint64_t greeting = kGreeting;
  std::uint64_t version = SIGNCCL_VERSION_CODE;
  std::uint64_t digest = 0;     ///< of rules and mode
  std::uint64_t name_hash = 0;  ///< of the communicator's name, if a rule looks at names
  signcclUniqueId id{};         ///< of rank 0, when the ranks are about to join
  std::uint64_t has_bad_rules = 0;
  std::uint64_t unused[11] = {};
};
static_assert(sizeof(Introduction) == 256);

std::uint64_t hashOf(const std::string& name);

/// Throws Failure, on all ranks with the same text, if two ranks do not fit.
void compare(std::span<const Introduction> ranks);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCTION_H_
