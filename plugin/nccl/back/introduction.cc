// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/introduction.h"

#include <cstddef>

#include "nccl/back/failure.h"
#include "rules/settings.h"

namespace signccl::nccl_preload {
namespace {

std::string rankText(std::size_t rank) { return "rank " + std::to_string(rank); }

}  // namespace

std::uint64_t hashOf(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

void compare(std::span<const Introduction> ranks) {
  const Introduction& first = ranks.front();
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const Introduction& one = ranks[rank];
    if (one.greeting != Introduction::kGreeting || one.version != first.version) {
      throw Failure(Result::kInvalidUsage, "ranks 0 and " + std::to_string(rank) +
                                               " have different versions of SignCCL, or one has no preload library");
    }
    if (one.has_bad_rules != 0) {
      throw Failure(Result::kInvalidUsage, "the rules of " + rankText(rank) + " cannot be read; that rank says why");
    }
    if (one.digest != first.digest) {
      throw Failure(Result::kInvalidUsage, "the rules differ: digest " + rules::digestText(first.digest) +
                                               " on rank 0, " + rules::digestText(one.digest) + " on " +
                                               rankText(rank) +
                                               "; SIGNCCL_RULES and SIGNCCL_INTERPOSE must be the "
                                               "same on all ranks");
    }
    if (one.name_hash != first.name_hash) {
      throw Failure(Result::kInvalidUsage, "the communicator has another name on rank 0 than on " + rankText(rank) +
                                               ", and a rule of SIGNCCL_RULES has match.comm");
    }
  }
}

}  // namespace signccl::nccl_preload
